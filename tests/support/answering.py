"""An HTTP server in a thread, for whatever a test has something stand in for: it answers what its `respond` says."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, Self

BACKLOG = 128
"""The library's own five are soon full on a busy machine, and who is left out comes again after a second or more."""


@contextmanager
def in_thread(server: HTTPServer) -> Iterator[None]:
    """Have a server answer until the block ends, and close it."""
    server.socket.listen(BACKLOG)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Answering(ThreadingHTTPServer):
    """Subclasses say what they answer; with `context` they speak HTTPS."""

    daemon_threads = True

    def __init__(self, place: tuple[str, int] = ("127.0.0.1", 0), context: ssl.SSLContext | None = None) -> None:
        super().__init__(place, _Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self.server_address[1])

    def respond(self, method: str, path: str, headers: Message, body: bytes) -> tuple[int, Any]:
        """Status and body: a text as it is, anything else as JSON."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Answer until the block ends."""
        with in_thread(self):
            yield self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Answering

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, answer = self.server.respond(self.command, self.path, self.headers, body)
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
