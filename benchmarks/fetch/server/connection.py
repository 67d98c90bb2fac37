"""One connection: HTTP/1.1 as far as clients that download need it, never faster than the cap, each answer late.

Content goes from the page cache to the socket by `sendfile`, so that the server is never what is measured.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

from benchmarks.fetch.server.answers import Answer, Request, Slice

PIECE = 256 << 10
"""Bytes between two looks at the clock."""
MAX_HEAD = 64 << 10


@dataclass
class Log:
    """What was asked since the last look: seconds of the monotonic clock, which all processes of a machine share."""

    requests: int = 0
    connections: int = 0
    sent: int = 0
    first_content: float | None = None


@dataclass(frozen=True)
class Limits:
    """Bytes a second of each connection, and seconds before each answer."""

    rate: float
    latency: float


@dataclass
class Connection:
    """Serves one socket to its end; `answer` says what, `file` is the blob."""

    socket: socket.socket
    file: BinaryIO
    answer: Callable[[Request], Answer]
    limits: Limits
    log: Log
    _free_at: float = field(default=0.0)

    async def serve(self) -> None:
        """Answer until the client leaves."""
        self.log.connections += 1
        try:
            pending = b""
            while True:
                head, pending = await self._head(pending)
                if not head:
                    return
                await self._respond(_parse(head))
        except (ConnectionError, TimeoutError):
            return
        finally:
            self.socket.close()

    async def _head(self, pending: bytes) -> tuple[bytes, bytes]:
        loop = asyncio.get_running_loop()
        while b"\r\n\r\n" not in pending and len(pending) < MAX_HEAD:
            chunk = await loop.sock_recv(self.socket, MAX_HEAD)
            if not chunk:
                return b"", b""
            pending += chunk
        head, _, rest = pending.partition(b"\r\n\r\n")
        return head, rest

    async def _respond(self, request: Request) -> None:
        answer = self.answer(request)
        self.log.requests += 1
        await asyncio.sleep(self.limits.latency)
        loop = asyncio.get_running_loop()
        whole = request.method != "HEAD"
        inline = answer.body if whole and isinstance(answer.body, bytes) else b""
        await loop.sock_sendall(self.socket, _head(answer) + inline)
        if whole and isinstance(answer.body, Slice):
            await self._send(answer.body)

    async def _send(self, content: Slice) -> None:
        loop = asyncio.get_running_loop()
        at, end = content.offset, content.offset + content.size
        while at < end:
            size = min(PIECE, end - at)
            await self._wait_for(size)
            if self.log.first_content is None:
                self.log.first_content = time.monotonic()
            await loop.sock_sendfile(self.socket, self.file, at, size)
            at += size
            self.log.sent += size

    async def _wait_for(self, size: int) -> None:
        """Hold the cap; being woken late is made up for, by one piece at most."""
        now, takes = time.monotonic(), size / self.limits.rate
        self._free_at = max(self._free_at, now - takes)
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
        self._free_at += takes


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers: Mapping[str, str] = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, headers.get("host", ""))


def _head(answer: Answer) -> bytes:
    headers = {**answer.headers, "Content-Length": str(answer.size)}
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
