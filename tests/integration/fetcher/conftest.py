"""Stores to fetch from: a folder, a web server that can misbehave, and a storage emulator, each behind one shape."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from gcp_storage_emulator.server import Server, create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.server import ThreadedMotoServer
from support.answering import BACKLOG

from model_fetcher import lanes
from model_fetcher.destinations import Destination, ModelRoot
from model_fetcher.fetch import Fetcher, Outcome
from model_fetcher.plan import Wanted
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources.base import Access, Timeouts
from model_fetcher.versions import Version, list_versions

from .answers import MODEL
from .stores import EmulatedStore, FolderStore, S3Store, Store, WebStore, reply

FOREIGN = {
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "ssl_cert_file",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "storage_emulator_host",
    "google_application_credentials",
    "awsanonymouscredential",
}
FOREIGN_PREFIXES = ("modelport_", "aws_", "s3_", "storage_")
"""Variables that programs read, in lower case."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in FOREIGN or name.lower().startswith(FOREIGN_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture
def serve() -> Iterator[Callable[[WebStore], WebStore]]:
    """Starts web servers that end with the test."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(store: WebStore) -> WebStore:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.answer(self)

            def do_POST(self) -> None:
                reply(self, 200, store.posted)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket.listen(BACKLOG)
        store.server, store.port = server, server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return store

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web(serve) -> WebStore:
    return serve(WebStore())


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Server]:
    """One for all tests, for it takes half a second to stop."""
    with create_server("127.0.0.1", 0, in_memory=True, default_bucket="models") as server:
        yield server


@pytest.fixture
def emulated(emulator: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedStore]:
    emulator.wipe(keep_buckets=True)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{emulator._api._httpd.server_port}")
    client = storage.Client(project="test", credentials=AnonymousCredentials())
    yield EmulatedStore(client)
    client.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """One for all tests, for it takes a second to start. Its address."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_server: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3_server, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )


@pytest.fixture
def s3(s3_server: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    urllib3.request("POST", f"{s3_server}/moto-api/reset")
    s3_client.create_bucket(Bucket="models")
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return S3Store(s3_client)


STORES = {"file": "folder_store", "http": "web", "gs": "emulated", "s3": "s3"}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Every scheme in turn."""
    return request.getfixturevalue(STORES[request.param])


@dataclass
class Packed:
    """A bundle as bytes by path below it, and the digest of its manifest."""

    files: dict[str, bytes]
    digest: str

    def into(self, store: Store, key: str) -> str:
        for path, data in self.files.items():
            store.put(f"{key}/{path}", data)
        return store.uri(key)


@pytest.fixture
def pack() -> Callable[..., Packed]:
    """Makes the smallest bundle: a model and a nested file."""

    def make(name: str = "churn", version: str = "1", model: bytes = b"model", **more: bytes) -> Packed:
        files = {"model.joblib": model, "extra/notes.txt": b"", "extra/model.joblib": b"another"} | more
        manifest = {
            "schemaVersion": 1,
            "name": name,
            "version": version,
            "created": "2026-01-01T00:00:00+00:00",
            "files": [
                {"path": path, "size": len(data), "sha256": sha256(data).hexdigest()} for path, data in files.items()
            ],
            "formats": [{"kind": "joblib", "path": "model.joblib"}],
        }
        data = json.dumps(manifest).encode()
        return Packed({**files, "manifest.json": data}, f"sha256:{sha256(data).hexdigest()}")

    return make


@dataclass
class Patience:
    """A clock that only sleeping moves."""

    now: float = 0.0
    notes: list[str] = field(default_factory=list)
    on_sleep: Callable[[], None] = field(default=lambda: None)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()

    def retry(self) -> Retry:
        return Retry(30, notify=self.notes.append, clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0)


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "volume"


TIMEOUTS = Timeouts(connect=60, read=60)
"""For stores of this process: one that is only slow, on a busy machine, must not be asked twice."""


@pytest.fixture
def fetch(patience: Patience, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Fetches as the program does, without waiting between tries."""
    monkeypatch.setattr(lanes, "GRACE", 60.0)  # threads of a fetch that failed must not run into the next one

    def run(uri: str, destination: Destination | None = None, **options: Any) -> Outcome:
        how = {name: options.pop(name) for name in ("require_pinned", "free", "cache") if name in options}
        ways = {name: options.pop(name) for name in ("auth", "ca_bundle", "connections", "headers") if name in options}
        timeouts = Timeouts(TIMEOUTS.connect, options.pop("read_timeout", TIMEOUTS.read))
        access = Access(timeouts, notify=patience.notes.append, **ways)
        fetcher = Fetcher(Progress(), patience.retry(), access, **how)
        return fetcher.fetch(Wanted(uri, **options), destination or ModelRoot(root))

    return run


@pytest.fixture
def lister(patience: Patience) -> Callable[[str], list[Version]]:
    """Lists versions as the program does."""
    fetcher = Fetcher(Progress(), patience.retry(), Access(TIMEOUTS))
    return lambda uri: list_versions(fetcher, uri)


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m model_fetcher`."""

    def run(*argv: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model_fetcher", *map(str, argv)]
        return subprocess.run(
            command, env=dict(os.environ) | environ, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(name="tree")
def tree_fixture() -> Callable[[Path], dict[str, bytes]]:
    """Everything in a folder, hidden things too."""
    return tree


@pytest.fixture
def uri(web: WebStore) -> str:
    """Of a model on the web server."""
    web.put("m.onnx", MODEL)
    return web.uri("m.onnx")


@pytest.fixture
def gcs_endpoint(web: WebStore, monkeypatch: pytest.MonkeyPatch) -> WebStore:
    """A web server in the place of Google's service."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.uri("").rstrip("/"))
    return web


@pytest.fixture
def s3_endpoint(web: WebStore, monkeypatch: pytest.MonkeyPatch) -> WebStore:
    """A web server in the place of the store, and somebody who asks it."""
    for name, value in {
        "AWS_ENDPOINT_URL": web.uri("").rstrip("/"),
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    web.put("models/m.onnx", b"model")
    return web
