"""Places to push to, each behind one shape: a folder, and emulators of two clouds behind a gate."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from click.testing import CliRunner, Result
from gcp_storage_emulator.server import Server, create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.server import ThreadedMotoServer
from support.gate import Gate, open_gate

from modelport.cli import main

FOREIGN = ("MODELPORT_", "AWS_", "GOOGLE_", "STORAGE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Place(Protocol):
    """Somewhere to push to: its URI, what is there, and a way to put something there by other means."""

    uri: str

    def tree(self) -> dict[str, bytes]: ...
    def put(self, key: str, data: bytes) -> None: ...


@dataclass
class Folder:
    root: Path

    @property
    def uri(self) -> str:
        return f"file://{self.root}"

    def tree(self) -> dict[str, bytes]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@dataclass
class Gcs:
    client: Any
    gate: Gate
    uri: str = "gs://models/team"

    def tree(self) -> dict[str, bytes]:
        blobs = self.client.list_blobs("models", prefix="team/")
        return {blob.name.removeprefix("team/"): blob.download_as_bytes() for blob in blobs}

    def put(self, key: str, data: bytes) -> None:
        self.client.bucket("models").blob(f"team/{key}").upload_from_string(data)

    def delete(self, key: str) -> None:
        self.client.bucket("models").blob(f"team/{key}").delete()


@dataclass
class S3:
    client: Any
    gate: Gate
    uri: str = "s3://models/team"

    def tree(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket="models", Prefix="team/").get("Contents", [])
        bodies = {item["Key"]: self.client.get_object(Bucket="models", Key=item["Key"])["Body"] for item in listed}
        return {key.removeprefix("team/"): body.read() for key, body in bodies.items()}

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="models", Key=f"team/{key}", Body=data)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket="models", Key=f"team/{key}")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "store")


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[Server]:
    with create_server("127.0.0.1", 0, in_memory=True, default_bucket="models") as server:
        yield server


@pytest.fixture
def gcs(gcs_emulator: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    gcs_emulator.wipe(keep_buckets=True)
    behind = f"http://127.0.0.1:{gcs_emulator._api._httpd.server_port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", behind)
    client = storage.Client(project="test", credentials=AnonymousCredentials())
    with open_gate(behind, "/storage/v1/b/models/o/{key}") as gate:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gate.url)
        yield Gcs(client, gate)
    client.close()


@pytest.fixture(scope="session")
def s3_emulator() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    settings = {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with open_gate(s3_emulator, "/models/{key}") as gate:
        client = boto3.client("s3", endpoint_url=s3_emulator)
        gate.pool.request("POST", f"{s3_emulator}/moto-api/reset")
        client.create_bucket(Bucket="models")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", gate.url)
        yield S3(client, gate)
        client.close()


BUCKETS = ("gcs", "s3")


@pytest.fixture(params=("folder", *BUCKETS))
def place(request: pytest.FixtureRequest) -> Place:
    """Every scheme in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=BUCKETS)
def bucket(request: pytest.FixtureRequest) -> Gcs | S3:
    """Every cloud in turn."""
    return request.getfixturevalue(request.param)


@dataclass
class Made:
    """A bundle on disk."""

    path: Path
    digest: str
    files: dict[str, bytes]

    def below(self, key: str) -> dict[str, bytes]:
        return {f"{key}/{path}": data for path, data in self.files.items()}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Writes the smallest bundle: a model and nested files, each with content of its own."""

    def write(version: str = "1", model: bytes = b"model", **more: bytes) -> Made:
        folder = tmp_path / f"made{len(list(tmp_path.glob('made*')))}" / "churn" / version
        files = {"model.joblib": model, "extra/notes.txt": b"", "extra/model.joblib": b"another"} | more
        manifest = {
            "schemaVersion": 1,
            "name": "churn",
            "version": version,
            "created": f"2026-01-0{len(version)}T00:00:00+00:00",
            "files": [
                {"path": path, "size": len(data), "sha256": sha256(data).hexdigest()} for path, data in files.items()
            ],
            "formats": [{"kind": "joblib", "path": "model.joblib"}],
        }
        files["manifest.json"] = json.dumps(manifest).encode()
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return Made(folder, f"sha256:{sha256(files['manifest.json']).hexdigest()}", files)

    return write


@pytest.fixture
def run() -> Callable[..., Result]:
    """The command, in this process."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)

    return invoke
