"""An open-loop load: requests leave at their times whether or not answers come back, as strangers on the internet do.

wrk waits for each answer before it sends the next request on a connection, so it can never offer more than a server
takes. This can. One process, one thread, as many keep-alive connections as there are requests in flight.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop
from benchmarks.serving.contender import Ask

TICK_SECONDS = 0.002
DRAIN_SECONDS = 5


@dataclass
class Outcome:
    """Latencies in seconds by HTTP status; `broken` counts connections that ended with a request unanswered."""

    latencies: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent: int = 0
    broken: int = 0


class _Connection(asyncio.Protocol):
    """One request at a time; an answer is whole when its Content-Length has come."""

    def __init__(self, outcome: Outcome, idle: "list[_Connection]") -> None:
        self._outcome, self._idle = outcome, idle
        self._sent_at: float | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        """Send a request; the connection is busy from now on."""
        self._sent_at = time.perf_counter()
        self._outcome.sent += 1
        self._transport.write(request)

    def close(self) -> None:
        """Give up whatever was still awaited."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        if not body or self._sent_at is None or len(body) < _content_length(head):
            return
        self._outcome.latencies[int(head[9:12])].append(time.perf_counter() - self._sent_at)
        self._buffer, self._sent_at = b"", None
        self._idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self._sent_at is not None:
            self._outcome.broken += 1
        elif self in self._idle:
            self._idle.remove(self)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0])


def offer(port: int, asks: Sequence[Ask], rate: float, seconds: float, headers: str = "") -> Outcome:
    """Send `rate` requests a second for `seconds`, `asks` in turn; `headers` are whole lines that end in CRLF."""
    requests = [
        f"POST {ask.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(ask.body)}\r\n\r\n".encode()
        + ask.body
        for ask in asks
    ]
    return uvloop.run(_offer(port, requests, rate, seconds))


async def _offer(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Outcome:
    loop, outcome = asyncio.get_running_loop(), Outcome()
    opened: list[_Connection] = []
    idle: list[_Connection] = []
    began, due = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        while due < elapsed * rate:
            if not idle:
                _, fresh = await loop.create_connection(lambda: _Connection(outcome, idle), "127.0.0.1", port)
                opened.append(fresh)
                idle.append(fresh)
            idle.pop().send(requests[due % len(requests)])
            due += 1
        await asyncio.sleep(TICK_SECONDS)
    await _drain(outcome)
    for connection in opened:
        connection.close()
    await asyncio.sleep(TICK_SECONDS)
    return outcome


async def _drain(outcome: Outcome) -> None:
    """Wait for the answers that are still on their way."""
    for _ in range(round(DRAIN_SECONDS / TICK_SECONDS)):
        if sum(map(len, outcome.latencies.values())) + outcome.broken == outcome.sent:
            return
        await asyncio.sleep(TICK_SECONDS)
