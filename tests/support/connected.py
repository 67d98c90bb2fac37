"""The application behind its own HTTP protocol on a real socket, in a thread of the test's process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from model_service.protocol import Guard, GuardedProtocol


class Connected(httpx2.Client):
    """A client of `app`, which listens on `port`; requests of one client share connections."""

    def __init__(self, app: FastAPI, server: uvicorn.Server, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.port = app, server.servers[0].sockets[0].getsockname()[1]
        self._server, self._loop = server, loop
        super().__init__(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def close_connections(self) -> None:
        """Have the server leave its connections, as it does at a stop."""

        async def leave() -> None:
            for connection in self._server.server_state.connections:
                connection.shutdown()

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result()


@contextmanager
def connected(app: FastAPI, *, read_seconds: float = 20) -> Iterator[Connected]:
    """Serve until the block ends, as a worker does."""
    guard = Guard(1 << 16, read_seconds, lambda _: None)
    http: Any = partial(GuardedProtocol, guard=guard, express=app.state.express)
    config = uvicorn.Config(
        app, port=0, http=http, ws="none", server_header=False, access_log=False, log_config=None, timeout_keep_alive=75
    )
    server = uvicorn.Server(config)
    loops: Queue[asyncio.AbstractEventLoop] = Queue()

    async def serve() -> None:
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        loops.put(asyncio.get_running_loop())
        await server.main_loop()
        await server.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        with Connected(app, server, loops.get(timeout=20)) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
