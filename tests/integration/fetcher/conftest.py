"""Stores to fetch from: a folder, a web server that can misbehave, and a storage emulator, each behind one shape."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pytest
from gcp_storage_emulator.server import Server, create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from model_fetcher.destinations import Destination, ModelRoot
from model_fetcher.fetch import Fetcher, Outcome
from model_fetcher.plan import Wanted
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources.base import Timeouts

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
}
"""Variables that clients of others read, in lower case."""


class Store(Protocol):
    """What a test needs of a scheme."""

    lists: bool

    def put(self, key: str, data: bytes) -> None: ...
    def uri(self, key: str) -> str: ...


@dataclass
class FolderStore:
    root: Path
    lists: bool = True

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def uri(self, key: str) -> str:
        return f"file://{self.root}/{key}"


Fault = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class WebStore:
    """`faults` are used up one a request, before any good answer; `requests` are the paths that were asked for."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, Message]] = field(default_factory=list)
    lists: bool = False
    server: ThreadingHTTPServer | None = None

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def put(self, key: str, data: bytes) -> None:
        self.objects[f"/{key}"] = data

    def uri(self, key: str) -> str:
        return f"http://127.0.0.1:{self.port}/{key}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers))
        path = unquote(urlsplit(handler.path).path)
        data = self.objects.get(path)
        if self.faults:
            self.faults.pop(0)(handler, data or b"")
        elif data is None:
            reply(handler, 404)
        else:
            reply(handler, 200, data)


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@dataclass
class EmulatedStore:
    """A bucket of the emulator."""

    client: Any
    lists: bool = True

    def put(self, key: str, data: bytes) -> None:
        self.client.bucket("models").blob(key).upload_from_string(data)

    def uri(self, key: str) -> str:
        return f"gs://models/{key}"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MODELPORT_") or name.lower() in FOREIGN:
            monkeypatch.delenv(name)


@pytest.fixture
def serve() -> Iterator[Callable[[WebStore], WebStore]]:
    """Starts web servers that end with the test."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(store: WebStore) -> WebStore:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                store.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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


STORES = {"file": "folder_store", "http": "web", "gs": "emulated"}


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


@pytest.fixture
def fetch(patience: Patience, root: Path) -> Callable[..., Outcome]:
    """Fetches as the program does, without waiting between tries."""

    def run(uri: str, destination: Destination | None = None, **options: Any) -> Outcome:
        how = {name: options.pop(name) for name in ("require_pinned", "free") if name in options}
        timeouts = Timeouts(connect=2, read=options.pop("read_timeout", 5))
        fetcher = Fetcher(Progress(), patience.retry(), timeouts, **how)
        return fetcher.fetch(Wanted(uri, **options), destination or ModelRoot(root))

    return run


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m model_fetcher`."""

    def run(*argv: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "model_fetcher", *map(str, argv)]
        return subprocess.run(
            command, env=dict(os.environ) | environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(name="tree")
def tree_fixture() -> Callable[[Path], dict[str, bytes]]:
    """Everything in a folder, hidden things too."""
    return tree
