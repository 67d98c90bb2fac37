"""Requests of nobody before the first of somebody: after a fork every page and every cache is cold.

They take the express way through parser, queue, model and writer, on a connection to nowhere, and are counted by
instruments that nobody reads.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from model_artifact.samples import parse_golden
from model_service.api.express import Express
from model_service.jsontext import dumps
from model_service.protocol import GuardedProtocol
from model_service.registry import Registry
from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.tracing import Beginnings
from model_service.versions import Lane, Maker, Version

TIMES = 30
"""More make no difference that could be measured."""
SECONDS = 0.1
"""At most, and one request at least: a model that takes long gains nothing."""
SILENT = logging.getLogger("model_service.rehearsal")
SILENT.disabled = True
Connect = Callable[..., GuardedProtocol]


async def rehearse(express: Express | None, connect: Connect) -> None:
    """Answer requests of nobody with the default version; whatever goes wrong is left to real ones.

    Args:
        express: takes the requests; where there is none, there is nothing to rehearse.
        connect: makes a connection, given uvicorn's three arguments and `express`.
    """
    version = express.registry.default if express is not None else None
    body = _body(version) if version is not None else None
    if express is None or version is None or body is None:
        return
    express.prepare()
    settings = express.settings
    metrics = Metrics(SharedSeries(1), 0, settings.latency_buckets)
    again = Maker(settings, metrics, None, lambda *_: None).again(version)
    alone = _alone(express, again, metrics)
    connection = connect(Config(_nobody, ws="none", log_config=None), ServerState(), {}, express=alone)
    answers = _Answers()
    connection.connection_made(cast("asyncio.Transport", answers))
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    ends = time.perf_counter() + SECONDS
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.request_timeout_seconds):
            for _ in range(TIMES):
                answers.come.clear()
                connection.data_received(head % len(body) + body)
                await answers.come.wait()
                if time.perf_counter() > ends:
                    break
    connection.connection_lost(None)


def _body(version: Version) -> bytes | None:
    """A request with one of the rows that were packed with the model."""
    golden = version.loaded.bundle.manifest.golden
    if golden is None:
        return None
    inputs = parse_golden(version.loaded.bundle.path(golden).read_bytes()).inputs
    return dumps({"features": inputs[0]}) if inputs else None


def _alone(express: Express, version: Version, metrics: Metrics) -> Express:
    """The express way to a version, with instruments and log of its own."""
    registry = Registry(express.settings, metrics, None, lambda _: None)
    registry.plain = Lane(version, "default", told=False)
    lines = LineLog(SILENT.name, lambda _: {})
    return replace(
        express, registry=registry, metrics=metrics, lines=lines, traces=Beginnings(None), gate=None,
        rates=None,
    )  # fmt: skip


async def _nobody(_: Scope, __: Receive, send: Send) -> None:
    """The application behind the connection, for what does not take the express way after all: not rehearsed."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class _Answers:
    """A transport to nowhere."""

    def __init__(self) -> None:
        self.come = asyncio.Event()

    def write(self, _: Any) -> None:
        """Note that an answer came."""
        self.come.set()

    def get_extra_info(self, name: str) -> Any:
        """The addresses of a connection from this host to itself."""
        return ("127.0.0.1", 0) if name in {"peername", "sockname"} else None

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Note that there will be no answer."""
        self.come.set()

    pause_reading = resume_reading = close
