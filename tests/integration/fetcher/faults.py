"""A proxy that breaks what passes through it, in front of any store that speaks HTTP."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"


@dataclass
class Answer:
    """What the store said, on its way to whoever asked."""

    status: int
    headers: dict[str, str]
    body: bytes


Fault = Callable[["Handler", Answer, random.Random], None]


def send(handler: "Handler", answer: Answer, body: bytes | None = None) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    handler.wfile.write(answer.body if body is None else body)


def dropped(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    handler.close_connection = True


def reset(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def truncated(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    send(handler, answer, answer.body[: rng.randrange(len(answer.body) + 1)])
    handler.close_connection = True


def stalled(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    send(handler, answer, answer.body[: rng.randrange(len(answer.body) + 1)])
    handler.wfile.flush()
    handler.server.released.wait(2)
    handler.close_connection = True


def dripping(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    send(handler, answer, b"")
    for byte in answer.body[:40]:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.released.wait(0.02):
            break
    handler.close_connection = True


def busy(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    delay = {"Retry-After": "3"} if rng.random() < 0.5 else {}
    send(handler, Answer(rng.choice([429, 500, 502, 503]), delay, b"busy"))


def undivided(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    """Pays no heed to the part that was asked for."""
    send(handler, handler.upstream(ranged=False))


def expired(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    send(handler, Answer(403, {}, EXPIRED))


def wrong(handler: "Handler", answer: Answer, rng: random.Random) -> None:
    body = bytearray(answer.body)
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    send(handler, answer, bytes(body))


PASSING: dict[str, Fault] = {
    fault.__name__: fault for fault in (dropped, reset, truncated, stalled, dripping, busy, undivided)
}
"""Faults after which another try may be answered well."""


@dataclass
class Breaking:
    """Which answers break: each with `probability`, until `most` have; `before` is called ahead of every answer."""

    faults: list[Fault] = field(default_factory=list)
    probability: float = 0.0
    most: int = 0
    rng: random.Random = field(default_factory=random.Random)
    before: Callable[[str], None] = field(default=lambda _: None)

    def next(self) -> Fault | None:
        if self.most <= 0 or not self.faults or self.rng.random() >= self.probability:
            return None
        self.most -= 1
        return self.rng.choice(self.faults)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Proxy"

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append(self.path)
            self.server.breaking.before(self.path)
            fault = self.server.breaking.next()
        answer = self.upstream()
        if fault is None:
            send(self, answer)
        else:
            fault(self, answer, self.server.breaking.rng)

    def upstream(self, *, ranged: bool = True) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        if not ranged:
            headers.pop("Range", None)
        with self.server.upstream_lock:  # not every emulator answers two at once
            answer = self.server.pool.request(
                "GET", f"{self.server.target}{self.path}", headers=headers, redirect=False, decode_content=False
            )
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        return Answer(answer.status, kept, answer.data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Proxy(ThreadingHTTPServer):
    """Stands before `target`, an address without a path."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target.rstrip("/")
        self.pool = urllib3.PoolManager(maxsize=8)
        self.lock, self.upstream_lock = threading.Lock(), threading.Lock()
        self.released = threading.Event()
        self.requests: list[str] = []
        self.breaking = Breaking()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone, as clients of broken servers do."""


@contextmanager
def proxying(target: str) -> Iterator[Proxy]:
    with Proxy(target) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            proxy.shutdown()
            thread.join()
            proxy.pool.clear()
