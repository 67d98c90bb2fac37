"""One worker process: loads its model before it accepts, and leaves without dropping a request."""

import asyncio
import copy
import gc
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn_worker import UvicornWorker

from model_service.api.rehearsal import rehearse
from model_service.app import load_model
from model_service.board import State
from model_service.errors import EXIT_LOAD_FAILED, LoadFailed

if TYPE_CHECKING:
    from fastapi import FastAPI

HEARTBEAT_SECONDS = 1.0
LAST_WORDS_SECONDS = 0.2
RETRY_SECONDS = 1.0
"""Before a worker that cannot load what the others serve makes room for the next try."""
EXIT_BROKEN = 70
SWITCH_SECONDS = 0.0005
COLLECT_AFTER = 20_000
"""Container objects more than were freed."""


def favour_requests() -> None:
    """Tune the interpreter for an event loop beside a thread that computes.

    The garbage collector looks at requests only, and less often: they leave hardly any cycles behind. And a model that
    runs Python code hands the interpreter over soon, or the loop would wait five milliseconds at every turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_SECONDS)


class DrainingServer(uvicorn.Server):
    """On SIGTERM goes on answering, no longer ready, until load balancers have noticed; then finishes and exits 0."""

    def __init__(
        self,
        config: uvicorn.Config,
        admin: uvicorn.Config | None,
        rehearse: Callable[[], Awaitable[None]],
        delay: float,
        begin_drain: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._admin, self._rehearse, self._delay = admin, rehearse, delay
        self._begin_drain = begin_drain
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first SIGTERM starts the drain, any other ends the server."""
        first, self._draining = not self._draining, True
        self._begin_drain()
        if sig == signal.SIGTERM and first and self._delay > 0:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._delay, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; on the second socket, which is the admin port's, with an application of its own."""
        public, others = (sockets or [])[:1], (sockets or [])[1:]
        await super().startup(public)
        await self._rehearse()
        if self._admin is None:
            return
        make: Callable[..., asyncio.Protocol] = self._admin.http_protocol_class
        protocol = partial(make, self._admin, self.server_state, {})
        loop = asyncio.get_running_loop()
        self.servers += [await loop.create_server(protocol, sock=each, ssl=self._admin.ssl) for each in others]

    def stop_now(self) -> None:
        """Skip the drain: what is in flight is finished, nothing more is taken."""
        self._begin_drain()
        self.should_exit = True


class ServiceWorker(UvicornWorker):  # type: ignore[misc]
    """A uvicorn worker that loads its model before it accepts, with its heartbeat going on meanwhile."""

    CONFIG_KWARGS = {"loop": "uvloop", "http": "httptools", "ws": "none", "server_header": False, "access_log": False}  # noqa: RUF012

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slot = 0
        logging.getLogger("uvicorn.error").propagate = True

    def load_wsgi(self) -> None:
        """Build the app and load the model; a failure ends the process, and the master with it while nobody serves."""
        loaded = threading.Event()
        threading.Thread(target=self._beat, args=(loaded,), daemon=True).start()
        try:
            self.wsgi: FastAPI = self.app.build(self.slot, self._leave)
            load_model(self.wsgi)
            favour_requests()
        except LoadFailed:
            if self.wsgi.state.board.was_complete:
                time.sleep(RETRY_SECONDS)
                sys.exit(EXIT_BROKEN)
            sys.exit(EXIT_LOAD_FAILED)
        finally:
            loaded.set()

    def _beat(self, loaded: threading.Event) -> None:
        while not loaded.wait(HEARTBEAT_SECONDS):
            self.notify()

    @staticmethod
    def _leave() -> None:
        """End this process whatever its threads do, once the answers that are on their way have left."""
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, os._exit, EXIT_BROKEN)

    def _admin_config(self) -> uvicorn.Config | None:
        """The configuration of the admin port, where it is on: the same, for another application."""
        if self.wsgi.state.admin is None:
            return None
        config: uvicorn.Config = copy.copy(self.config)
        config.app = self.wsgi.state.admin
        config.load()
        return config

    async def _serve(self) -> None:
        """Serve until the drain is over."""
        settings, board = self.wsgi.state.settings, self.wsgi.state.board
        self.config.app = self.wsgi
        admin = self._admin_config()  # before the next line: nothing is predicted on that port
        express, connect = self.wsgi.state.express, self.config.http
        self.config.http = partial(connect, express=express)
        self.config.proxy_headers = bool(settings.trusted_proxies)
        self.config.timeout_graceful_shutdown = math.ceil(settings.request_timeout_seconds)
        drain = partial(board.write, self.slot, State.DRAINING)
        rehearsal = partial(rehearse, express, connect)
        server = DrainingServer(self.config, admin, rehearsal, settings.drain_delay_seconds, drain)
        # What the master sends on Ctrl-C; the base class's handler would leave uvicorn running.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.stop_now)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(EXIT_LOAD_FAILED)
