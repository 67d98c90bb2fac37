"""What is fetched: one large object or a bundle of many, over each scheme."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.fetch.server.blob import MANY, ONE

BUCKET = "models"


@dataclass(frozen=True)
class Workload:
    """A URI with `{port}` in it, and its key in the blob."""

    name: str
    uri: str
    key: str


def _workloads(scheme: str, base: str) -> list[Workload]:
    return [Workload(f"{scheme}-one", f"{base}/{ONE}", ONE), Workload(f"{scheme}-many", f"{base}/{MANY}", MANY)]


ALL = (
    *_workloads("http", "http://127.0.0.1:{port}/web"),
    *_workloads("gs", f"gs://{BUCKET}"),
    *_workloads("s3", f"s3://{BUCKET}"),
)
BY_NAME: Mapping[str, Workload] = {workload.name: workload for workload in ALL}


def environment(port: int) -> dict[str, str]:
    """What sends every client to the stand-in on this port."""
    url = f"http://127.0.0.1:{port}"
    return {
        "STORAGE_EMULATOR_HOST": url,
        "GOOGLE_CLOUD_PROJECT": "benchmark",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
