"""The composition root: what the application is made of, as lists."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from model_artifact import __version__
from model_service import openapi
from model_service.access.gate import Gate
from model_service.access.layer import access_layers
from model_service.access.lockout import Lockout
from model_service.access.routes import access_routers
from model_service.admin.app import create_admin_app
from model_service.api import health, page, predict
from model_service.api import metrics as scrape
from model_service.api.express import Express
from model_service.api.hot import HotRoutes
from model_service.api.http import DrainNotice, on_failure, on_http_error, on_service_error
from model_service.api.layers import all_requests_may_be_plain, http_layers
from model_service.api.service import Service
from model_service.board import Board, State
from model_service.control import Control
from model_service.errors import LoadFailed, ServiceError
from model_service.limits.buckets import Buckets
from model_service.limits.layer import limit_layers, make_rates
from model_service.limits.shared import SharedBuckets
from model_service.loading import Preloaded
from model_service.predictor import Predictor
from model_service.registry import Registry
from model_service.settings import Settings, load_settings
from model_service.telemetry.logs import LineLog, set_up_logging
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.push import Pusher
from model_service.telemetry.requests import RequestLog, access_line
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.sinks import make_sinks
from model_service.telemetry.totals import Totals
from model_service.telemetry.tracing import Beginnings, Tracing, make_provider, shut_down

log = logging.getLogger(__name__)
ROUTERS = (health.router, predict.router, scrape.router, page.router, openapi.router)
DESCRIPTION = "Predictions from a verified model. Every error is `{error, message, detail}` with field and row."


@dataclass(frozen=True)
class Place:
    """What a worker shares with the others, and its slot there.

    Attributes:
        board: who is ready.
        series: what everybody counted.
        ledger: what of it was sent on.
        slot: this worker's place on both.
        loaded: what was loaded before the fork.
        leave: ends the process, for a worker that cannot answer any more.
        buckets: of the rate limits, where there are any.
        lockout: who brought wrong credentials, where any are asked for.
    """

    board: Board
    series: SharedSeries
    ledger: SharedSeries
    slot: int = 0
    loaded: Preloaded | None = None
    leave: Callable[[], Any] = bool
    buckets: Buckets | None = None
    lockout: Lockout | None = None

    @classmethod
    def alone(cls) -> "Place":
        """The place of a process that has no supervisor."""
        board = Board(1)
        return cls(board, SharedSeries(len(board.slots)), SharedSeries(1))


def create_app(settings: Settings | None = None, place: Place | None = None) -> FastAPI:
    """Build the service.

    Args:
        settings: read from the environment when left out, as `uvicorn --factory` calls it.
        place: among the workers; the app is alone when left out.

    Raises:
        SettingsInvalid: the environment holds a bad setting.
    """
    if settings is None:
        settings, _ = load_settings()
        set_up_logging(settings.log_level)
    place = place or Place.alone()
    provider = make_provider()
    metrics = Metrics(place.series, place.slot, settings.latency_buckets)
    registry = Registry(settings, metrics, provider, lambda reason: _give_up(place, reason))
    predictor = Predictor(registry, settings, metrics)
    shared = SharedBuckets(settings.limits, metrics) if settings.limits.rules and settings.limits.redis_url else None
    gate = Gate(settings.access, settings.admin.token_file, place.lockout) if settings.access.on else None
    rates = make_rates(settings.limits.rules, place.buckets, shared, lambda: registry.default_name)
    lines = LineLog("model_service.access", access_line)
    app = Service(
        title="Modelport",
        description=DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours knows batches, workers and probes
        exception_handlers={ServiceError: on_service_error, HTTPException: on_http_error, Exception: on_failure},
    )
    app.surround(
        Middleware(RequestLog, metrics=metrics, lines=lines, template_of=app.template_of),
        Middleware(Tracing, provider=provider),
        Middleware(DrainNotice, board=place.board, slot=place.slot),
        *http_layers(settings),
        *access_layers(gate, lambda: registry.default.name if registry.default else None),
        *limit_layers(rates, metrics),
        Middleware(HotRoutes, predictor=predictor),
    )
    totals = Totals(place.series, place.board, settings.latency_buckets)
    sinks = make_sinks(settings, place.series, place.ledger)
    pushers = [Pusher(sink, totals, place.board, place.slot) for sink in sinks]
    control = Control(settings, place.board, place.slot, registry)
    admin = create_admin_app(settings, control.commands, metrics, lines, place.lockout) if settings.admin.port else None
    traces = Beginnings(provider)
    express = Express(registry, settings, metrics, lines, traces, place.board, place.slot, gate, rates)
    parts = {
        "express": express if all_requests_may_be_plain(settings) else None,
        "settings": settings,
        "registry": registry,
        "control": control,
        "admin": admin,
        "provider": provider,
        "predictor": predictor,
        "metrics": metrics,
        "lines": lines,
        "pushers": pushers,
        "shared_buckets": shared,
        "gate": gate,
    }
    for name, part in (parts | {"place": place, "board": place.board, "totals": totals}).items():
        setattr(app.state, name, part)
    app.include(*ROUTERS, *access_routers(settings.access))
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    return app


def load_model(app: FastAPI) -> None:
    """Prove the versions that traffic needs, loading them where the supervisor did not, and say so on the board; once.

    Raises:
        LoadFailed: one of them can never be served.
    """
    place: Place = app.state.place
    try:
        app.state.control.load(place.loaded)
    except LoadFailed as error:
        if place.board.was_complete:  # the others go on; this one is tried again
            log.warning("a worker cannot start: %s", error)
        else:
            place.board.write(place.slot, State.FAILED, str(error))
        raise
    place.board.write(place.slot, State.READY)


def _give_up(place: Place, reason: str) -> None:
    log.critical("this worker cannot answer any more: %s", reason)
    place.board.write(place.slot, State.BROKEN, reason)
    place.leave()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(load_model, app)
    await app.state.control.start()
    for pusher in app.state.pushers:
        pusher.start()
    shared: SharedBuckets | None = app.state.shared_buckets
    if shared is not None:
        await shared.start()
    gates: list[Gate] = [each.state.gate for each in (app, app.state.admin) if each and each.state.gate]
    for gate in gates:
        gate.start()
    yield
    for gate in gates:
        await gate.stop()
    if shared is not None:
        await shared.stop()
    await app.state.control.stop()
    app.state.registry.close()
    app.state.lines.flush()
    for pusher in app.state.pushers:
        await asyncio.to_thread(pusher.stop)
    if app.state.provider is not None:
        await asyncio.to_thread(shut_down, app.state.provider)
