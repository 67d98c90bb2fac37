"""The composition root: what the application is made of, as lists."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from opentelemetry.trace import NoOpTracer
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from model_artifact import __version__
from model_service.api import documentation, health, page, predict
from model_service.api import metrics as scrape
from model_service.api.hot import HotRoutes
from model_service.api.http import DrainNotice, on_failure, on_http_error, on_service_error
from model_service.api.layers import http_layers
from model_service.board import Board, State
from model_service.errors import LoadFailed, ModelNotReady, ServiceError
from model_service.loading import Loaded
from model_service.predictor import Predictor
from model_service.registry import Registry
from model_service.settings import Settings, load_settings
from model_service.telemetry.logs import LineLog, set_up_logging
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.push import Pusher
from model_service.telemetry.requests import RequestLog
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.sinks import make_sinks
from model_service.telemetry.totals import Totals
from model_service.telemetry.tracing import Tracing, make_provider, shut_down

log = logging.getLogger(__name__)
ROUTERS = (health.router, predict.router, scrape.router, page.router)
DESCRIPTION = "Predictions from a verified model. Every error is `{error, message, detail}` with field and row."


@dataclass(frozen=True)
class Place:
    """What a worker shares with the others, and its slot there.

    Attributes:
        board: who is ready.
        series: what everybody counted.
        ledger: what of it was sent on.
        slot: this worker's place on both.
        loaded: the default model, when it was loaded before the fork.
        leave: ends the process, for a worker that cannot answer any more.
    """

    board: Board
    series: SharedSeries
    ledger: SharedSeries
    slot: int = 0
    loaded: Loaded | None = None
    leave: Callable[[], Any] = bool

    @classmethod
    def alone(cls) -> "Place":
        """The place of a process that has no supervisor."""
        board = Board(1)
        return cls(board, SharedSeries(len(board.slots)), SharedSeries(1))


class Service(FastAPI):
    """FastAPI with the request pipeline around it instead of inside: a hot request does not enter the framework."""

    _pipeline: ASGIApp

    def surround(self, *layers: Middleware) -> None:
        """Set the pipeline, outermost layer first."""
        self._pipeline = super().__call__
        for layer in reversed(layers):
            self._pipeline = layer.cls(self._pipeline, *layer.args, **layer.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request through the pipeline, anything else as the framework does."""
        if scope["type"] == "http":
            await self._pipeline(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
    tracer = provider.get_tracer(__name__) if provider else NoOpTracer()
    metrics = Metrics(place.series, place.slot, settings.latency_buckets)
    registry = Registry(settings, metrics, tracer, lambda reason: _give_up(place, reason))
    predictor = Predictor(registry, settings, metrics)
    lines = LineLog("model_service.access")
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
        Middleware(RequestLog, metrics=metrics, lines=lines),
        Middleware(Tracing, provider=provider),
        Middleware(DrainNotice, board=place.board, slot=place.slot),
        *http_layers(settings),
        Middleware(HotRoutes, predictor=predictor),
    )
    totals = Totals(place.series, place.board, settings.latency_buckets)
    sinks = make_sinks(settings, place.series, place.ledger)
    pushers = [Pusher(sink, totals, place.board, place.slot) for sink in sinks]
    parts = {
        "settings": settings,
        "registry": registry,
        "provider": provider,
        "predictor": predictor,
        "metrics": metrics,
        "lines": lines,
        "pushers": pushers,
    }
    for name, part in (parts | {"place": place, "board": place.board, "totals": totals}).items():
        setattr(app.state, name, part)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def load_model(app: FastAPI) -> None:
    """Prove the default model, loading it where the supervisor did not, and say so on the board; once.

    Raises:
        LoadFailed: it can never be served.
    """
    place: Place = app.state.place
    try:
        app.state.registry.load(place.loaded)
    except LoadFailed as error:
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
    for pusher in app.state.pushers:
        pusher.start()
    yield
    app.state.registry.close()
    app.state.lines.flush()
    for pusher in app.state.pushers:
        await asyncio.to_thread(pusher.stop)
    if app.state.provider is not None:
        await asyncio.to_thread(shut_down, app.state.provider)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document of the model that is loaded; made once for each, and without its schemas before."""
    served = app.state.registry.default
    if served is None:
        raise ModelNotReady("the model is not loaded yet")
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        document.setdefault("components", {}).setdefault("schemas", {}).update(
            documentation.schemas(served.schema.signature, app.state.settings.max_batch_rows, served.hooks)
        )
        app.openapi_schema = document
    return app.openapi_schema
