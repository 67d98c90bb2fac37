"""Who takes part: a program that brings a URI into a folder, each in the environment that its own users have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
Command = Callable[[str, Path], Sequence[str]]
"""The arguments of Python, from a URI and an empty folder."""


@dataclass(frozen=True)
class Contender:
    """One program in the race.

    Attributes:
        name: as it stands in the table.
        about: how it is configured, in a phrase.
        command: its command line after the interpreter.
        workloads: which it can do.
        environment: the row of `environments.PINNED` that it runs in; none is the environment of the harness.
        writes: whether it leaves the files, to be checked.
        places: where its files are below the folder, by the last part of the key.
    """

    name: str
    about: str
    command: Command
    workloads: Sequence[str]
    environment: str | None = None
    writes: bool = True
    places: Callable[[str], str] = lambda _: "."


def _client(name: str) -> Command:
    return lambda uri, folder: (str(CLIENTS / f"{name}.py"), uri, str(folder))


def _published(last: str) -> str:
    return "model/1" if last.endswith(".onnx") else "churn/1"


OURS = Contender(
    "modelport",
    "model-fetch with its defaults; hashes every byte and makes the files durable",
    lambda uri, folder: ("-m", "model_fetcher", "--root", str(folder), uri),
    ("http-one", "http-many", "gs-one", "gs-many", "s3-one", "s3-many"),
    places=_published,
)
KSERVE = Contender(
    "kserve",
    "its storage initializer, defaults of its image",
    _client("kserve"),
    ("http-one", "gs-one", "gs-many", "s3-one", "s3-many"),
    "kserve-storage",
)
GCS_PLAIN = Contender(
    "gcs-plain", "google-cloud-storage: download_to_filename", _client("gcs_plain"), ("gs-one", "gs-many"), "vendors"
)
GCS_MANAGER = Contender(
    "gcs-manager", "google-cloud-storage: transfer_manager", _client("gcs_manager"), ("gs-one", "gs-many"), "vendors"
)
BOTO3 = Contender(
    "boto3", "boto3: download_file with TransferConfig", _client("boto3_plain"), ("s3-one", "s3-many"), "vendors"
)
LIMIT = Contender(
    "limit", "16 sockets that throw the bytes away", _client("limit"), ("http-one", "http-many"), writes=False
)
ALL = (LIMIT, OURS, KSERVE, GCS_PLAIN, GCS_MANAGER, BOTO3)
BY_NAME = {contender.name: contender for contender in ALL}
