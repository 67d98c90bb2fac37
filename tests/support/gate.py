"""A door before a storage emulator: it counts, fails on demand, and keeps the conditions that the emulator forgets."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import urllib3

from support.answering import in_thread

NAME = re.compile(rb'"name":\s*"([^"]+)"')


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def stores(self) -> str | None:
        """The key that this request would make appear, if it is one that does."""
        gcs = self.method == "POST" and "/upload/" in self.path and NAME.search(self.body[:4096])
        if gcs:
            return gcs[1].decode()
        path, _, query = self.path.partition("?")
        if (self.method == "PUT" and "uploadId" not in query and "upload_id" not in query) or (
            self.method == "POST" and "uploadId" in query
        ):
            return path.lstrip("/").partition("/")[2]
        return None

    @property
    def only_new(self) -> bool:
        return "ifGenerationMatch=0" in self.path or self.headers.get("If-None-Match") == "*"


Fault = Callable[[Request], int | None]
"""Sees every request: a status to answer with instead, 0 to carry it out and break off, or null to let it be."""


@dataclass
class Gate:
    """`look` is the path under which the emulator shows an object, with `{key}` in it."""

    behind: str
    look: str
    requests: list[Request] = field(default_factory=list)
    fault: Fault = lambda _: None
    url: str = ""
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=32, retries=False))

    @property
    def stored(self) -> list[str]:
        """Keys that were sent, in order."""
        return [key for request in self.requests if (key := request.stores)]

    def answer(self, request: Request) -> urllib3.BaseHTTPResponse | int:
        self.requests.append(request)
        status = self.fault(request)
        if status:
            return status
        if request.only_new and request.stores and self.exists(request.stores):
            return 412
        response = self.pool.request(
            request.method, f"{self.behind}{request.path}", body=request.body, headers=request.headers, redirect=False
        )
        return 0 if status == 0 else response

    def exists(self, key: str) -> bool:
        return self.pool.request("GET", self.behind + self.look.format(key=quote(key, safe=""))).status != 404


@contextmanager
def open_gate(behind: str, look: str) -> Iterator[Gate]:
    """Serve a gate before the emulator at the address `behind`."""
    gate = Gate(behind, look)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            got = gate.answer(Request(self.command, self.path, dict(self.headers), body))
            if got == 0:
                self.close_connection = True
                return
            status, headers, data = (got, {}, b"") if isinstance(got, int) else (got.status, got.headers, got.data)
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was killed is nothing to report."""

    server = Server(("127.0.0.1", 0), Handler)
    gate.url = f"http://127.0.0.1:{server.server_port}"
    try:
        with in_thread(server):
            yield gate
    finally:
        gate.pool.clear()
