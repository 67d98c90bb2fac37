"""The composition root: what the application is made of, as lists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from opentelemetry.trace import NoOpTracer
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from model_artifact import __version__
from model_service.api import documentation, health, predict
from model_service.api.http import BodyLimit, DrainNotice, on_http_error, on_service_error
from model_service.board import Board, State
from model_service.errors import LoadFailed, ServiceError
from model_service.predictor import Predictor
from model_service.registry import Registry
from model_service.settings import Settings, load_settings
from model_service.telemetry import RequestLog, set_up_logging
from model_service.tracing import Tracing, make_provider, shut_down

ROUTERS = (health.router, predict.router)
DESCRIPTION = "Predictions from a verified model. Every error is `{error, message, detail}` with field and row."


def create_app(settings: Settings | None = None, board: Board | None = None, slot: int = 0) -> FastAPI:
    """Build the service.

    Args:
        settings: read from the environment when left out, as `uvicorn --factory` calls it.
        board: shared with the other workers; the app's own when left out.
        slot: this worker's place on the board.

    Raises:
        SettingsInvalid: the environment holds a bad setting.
    """
    if settings is None:
        settings, _ = load_settings()
        set_up_logging(settings.log_level)
    board = board or Board(1)
    registry = Registry(settings)
    provider = make_provider()
    tracer = provider.get_tracer(__name__) if provider else NoOpTracer()
    app = FastAPI(
        title="Modelport",
        description=DESCRIPTION,
        version=__version__,
        lifespan=_lifespan,
        # The request pipeline, outermost first.
        middleware=[
            Middleware(RequestLog),
            Middleware(Tracing, tracer=tracer),
            Middleware(DrainNotice, board=board, slot=slot),
            Middleware(BodyLimit, limit=settings.max_body_bytes),
        ],
        exception_handlers={ServiceError: on_service_error, HTTPException: on_http_error},
    )
    predictor = Predictor(registry, settings.max_batch_rows, tracer)
    parts = {"settings": settings, "registry": registry, "provider": provider, "predictor": predictor}
    for name, part in (parts | {"board": board, "slot": slot}).items():
        setattr(app.state, name, part)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def load_model(app: FastAPI) -> None:
    """Load and prove the default model and say so on the board; a second call does nothing.

    Raises:
        LoadFailed: it can never be served.
    """
    try:
        app.state.registry.load()
    except LoadFailed as error:
        app.state.board.write(app.state.slot, State.FAILED, str(error))
        raise
    app.state.board.write(app.state.slot, State.READY)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(load_model, app)
    yield
    app.state.registry.close()
    if app.state.provider is not None:
        await asyncio.to_thread(shut_down, app.state.provider)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document of the model that is loaded; made once for each, and without its schemas before."""
    served = app.state.registry.resolve()
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        document.setdefault("components", {}).setdefault("schemas", {}).update(
            documentation.schemas(served.schema.signature, app.state.settings.max_batch_rows)
        )
        app.openapi_schema = document
    return app.openapi_schema
