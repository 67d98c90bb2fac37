"""The worker's application in this process, asked in turns: for differences that are lost between two servers.

A turn is one request on each of thirty-two connections, which are answered together, as those of a loaded server are.
It goes through the worker's own HTTP protocol on real sockets; only processes and their load are missing.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import uvicorn
from benchmarks.serving.errors import FailedRequests
from benchmarks.serving.race import MAIN
from fastapi import FastAPI
from uvicorn.server import ServerState

from model_service.protocol import Guard, GuardedProtocol


class Turns:
    """The application behind its own protocol, and clients that ask it all at once.

    Args:
        app: started.
        requests: whole, as they are sent; taken in turn.
    """

    def __init__(self, app: FastAPI, requests: Sequence[bytes]) -> None:
        self._app, self._requests = app, requests
        self._clients: list[socket.socket] = []
        self._waited_for, self._at = 0, 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        config = uvicorn.Config(self._app, ws="none", log_config=None, access_log=False)
        config.load()
        guard = Guard(1 << 16, 60, lambda _: None)
        given: dict[str, Any] = {"guard": guard, "express": self._app.state.express, "told": self._count}
        make = partial(_Counted, config, ServerState(), {}, **given)
        self._server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        address = self._server.sockets[0].getsockname()
        self._clients = [socket.create_connection(address) for _ in range(MAIN.connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self._server.close()
        await asyncio.sleep(0.1)  # for the server's half to notice

    def _count(self) -> None:
        self._waited_for -= 1
        if not self._waited_for:
            self._over.set_result(None)

    async def run(self) -> float:
        """Ask once on every connection; the seconds until all are answered.

        Raises:
            FailedRequests: an answer was not 200.
        """
        self._waited_for, self._at = len(self._clients), self._at + 1
        self._over = asyncio.get_running_loop().create_future()
        for index, client in enumerate(self._clients):
            client.send(self._requests[(index + self._at) % len(self._requests)])
        began = time.perf_counter()
        await self._over
        seconds = time.perf_counter() - began
        for client in self._clients:
            answer = client.recv(1 << 16)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise FailedRequests(f"expected 200, got {answer[:300]!r}")
        return seconds


class _Counted(GuardedProtocol):
    """Tells of each answer."""

    def __init__(self, *args: Any, told: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = told

    def reply(self, status: int, head: bytes, content: bytes, *, keep_alive: bool) -> None:
        super().reply(status, head, content, keep_alive=keep_alive)
        self._told()
