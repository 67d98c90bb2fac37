"""gunicorn as the supervisor of uvicorn workers: the processes, their logs, the board, and how they end."""

import gc
import logging
import math
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI
from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from model_service import tls
from model_service.access.lockout import Lockout
from model_service.app import Place, create_app
from model_service.board import Board, State
from model_service.errors import EXIT_LOAD_FAILED, LoadFailed
from model_service.limits.buckets import Buckets
from model_service.loading import Preloaded, preload
from model_service.protocol import Guard, GuardedProtocol
from model_service.proving import replay_apart
from model_service.settings import Settings
from model_service.telemetry.logs import set_up_logging
from model_service.telemetry.requests import count_refusal
from model_service.telemetry.series import SharedSeries
from model_service.traffic.orders import Desired
from model_service.traffic.source import enact_file
from model_service.worker import ServiceWorker

log = logging.getLogger(__name__)
CLEAN_UP_SECONDS = 5
"""What a worker may need after its last request, above all to flush traces; the chart allows for it."""


class PropagatingLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger without handlers of its own: lines reach the one JSON handler."""

    def setup(self, cfg: Any) -> None:
        """Keep only the level."""
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.addFilter(_tells_something)


def _tells_something(record: logging.LogRecord) -> bool:
    """Leave out what gunicorn says at every stop, because uvicorn has closed the worker's sockets already."""
    return not str(record.msg).startswith("Error while closing socket")


class Server(BaseApplication):  # type: ignore[misc]
    """Runs the service under gunicorn until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._board = Board(settings.workers)
        self._series = SharedSeries(len(self._board.slots))
        self._ledger = SharedSeries(1)
        self._buckets = Buckets() if settings.limits.rules else None
        self._lockout = Lockout() if settings.access.on or settings.admin.port else None
        self._loaded: Preloaded | None = None
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings from ours."""
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        grace = settings.drain_delay_seconds + settings.request_timeout_seconds + CLEAN_UP_SECONDS
        return {
            "bind": [_address(*place) for place in places(settings)],
            "workers": settings.workers,
            "worker_class": ServiceWorker,
            "logger_class": PropagatingLogger,
            "loglevel": settings.log_level,
            "keepalive": settings.keep_alive_seconds,
            "timeout": settings.worker_timeout_seconds,
            "graceful_timeout": math.ceil(grace),
            "worker_tmp_dir": "/dev/shm" if sys.platform == "linux" else None,  # noqa: S108 - tmpfs: a heartbeat never waits for a disk
            "control_socket_disable": True,
            "forwarded_allow_ips": ",".join(settings.trusted_proxies),
            **tls.options(settings),
            "when_ready": self._load,
            "on_reload": self._reload,
            "pre_fork": self._claim_slot,
            "post_fork": self._guard,
            "child_exit": self._release_slot,
            "worker_exit": _leave,
        }

    def build(self, slot: int, leave: Callable[[], None]) -> FastAPI:
        """The application of one worker."""
        shared = self._board, self._series, self._ledger
        return create_app(self._settings, Place(*shared, slot, self._loaded, leave, self._buckets, self._lockout))

    def run(self) -> None:
        """Serve; raises SystemExit when it ends, with the reason as the last line when the model cannot be served."""
        master = os.getpid()
        try:
            self._supervise()
        except SystemExit as ended:
            if ended.code == EXIT_LOAD_FAILED and os.getpid() == master:  # workers leave through here too
                report_failure(self._settings, self._board.failure() or "a worker could not start; see the lines above")
            raise

    def _supervise(self) -> None:
        try:
            super().run()
        except HaltServer as halted:  # a second worker failed to load while gunicorn was stopping for the first
            sys.exit(halted.exit_status)

    def _load(self, _: Any) -> None:
        """Load what traffic needs before the first fork, with the port open: workers share its memory."""
        try:
            enact_file(self._settings.traffic_file, self._board.orders)
            self._loaded = self._load_what_is_in_force()
        except LoadFailed as error:
            self._board.write(self._board.claim(), State.FAILED, str(error))
            sys.exit(EXIT_LOAD_FAILED)
        log.info("starting %d workers", self._settings.workers)
        gc.collect()
        gc.freeze()  # a collection in a worker must not touch, and so copy, what the supervisor loaded

    def _reload(self, _: Any) -> None:
        """On SIGHUP: what is on disk now; if that cannot be served, what was loaded before goes on."""
        try:
            found = self._load_what_is_in_force()
            for loaded in found.loaded.values():
                replay_apart(loaded.bundle, loaded.runtime, loaded.hooks)
            self._loaded = found
        except LoadFailed as error:
            log.warning("the reload failed, and what was loaded before is kept: %s", error)

    def _load_what_is_in_force(self) -> Preloaded:
        desired = self._board.orders.in_force.desired or Desired()
        return preload(self._settings, desired.traffic)

    def _claim_slot(self, _: Any, worker: ServiceWorker) -> None:
        worker.slot = self._board.claim()

    def _guard(self, _: Any, worker: ServiceWorker) -> None:
        head, seconds = self._settings.max_head_bytes, self._settings.read_timeout_seconds

        def count(status: int) -> None:
            count_refusal(worker.wsgi.state.metrics, status)

        worker.config.http = partial(GuardedProtocol, guard=Guard(head, seconds, count))

    def _release_slot(self, _: Any, worker: ServiceWorker) -> None:
        self._board.release(worker.slot)


def places(settings: Settings) -> list[tuple[str, int]]:
    """Addresses and ports: of the service, and then of the admin API where it is on."""
    admin = settings.admin
    return [(settings.api_host, settings.api_port), *([(admin.host, admin.port)] if admin.port else [])]


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _leave(_: Any, __: ServiceWorker) -> None:
    """End a worker without finalizers: those of a runtime loaded before the fork wait for the supervisor's threads."""
    ended = sys.exception()
    code = ended.code if isinstance(ended, SystemExit) else 1
    logging.shutdown()
    os._exit(code if isinstance(code, int) else 0)


def report_failure(settings: Settings, reason: str) -> None:
    """Say why nothing is served: as the last log line and, in a pod, as the termination message."""
    log.critical("the model cannot be served: %s", reason)
    if settings.termination_message_path.exists():
        with suppress(OSError):  # an unwritable message must not hide the reason
            settings.termination_message_path.write_text(reason[:4000], encoding="utf-8")


def _serve_debug(settings: Settings) -> None:
    """One process that starts again when the service's code changes."""
    uvicorn.run(
        "model_service.app:create_app", factory=True, reload=True, host=settings.api_host, port=settings.api_port,
        reload_dirs=[__file__.rsplit("/", 1)[0]], log_config=None, access_log=False,
    )  # fmt: skip


def serve(settings: Settings) -> None:
    """Run until told to stop; raises SystemExit."""
    set_up_logging(settings.log_level)
    if settings.debug:
        _serve_debug(settings)
        return
    Server(settings).run()
