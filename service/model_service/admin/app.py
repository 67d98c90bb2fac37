"""The application of the admin port: the pipeline around its few routes, with access control always on."""

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from model_artifact import __version__
from model_service.access.gate import Gate
from model_service.access.layer import access_layers
from model_service.access.lockout import Lockout
from model_service.admin.commands import Commands
from model_service.api import admin
from model_service.api.http import BodyLimit, on_failure, on_http_error, on_service_error
from model_service.api.service import Service
from model_service.errors import ServiceError
from model_service.settings import Settings
from model_service.telemetry.logs import LineLog
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.requests import RequestLog
from model_service.traffic.document import MAX_BYTES


def create_admin_app(
    settings: Settings, commands: Commands, metrics: Metrics, lines: LineLog, lockout: Lockout | None
) -> FastAPI:
    """Build the application, which shares telemetry, and who is locked out, with the service's own."""
    gate = Gate(settings.access, settings.admin.token_file, lockout)
    app = Service(
        title="Modelport admin",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={ServiceError: on_service_error, HTTPException: on_http_error, Exception: on_failure},
    )
    app.surround(
        Middleware(RequestLog, metrics=metrics, lines=lines, template_of=app.template_of),
        Middleware(BodyLimit, limit=MAX_BYTES),
        *access_layers(gate, lambda: None),
    )
    app.state.commands, app.state.gate = commands, gate
    app.include(admin.router)
    return app
