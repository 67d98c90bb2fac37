"""OpenAPI documents: of the whole service with the default model's schemas, and of each version by itself."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from model_service.access.documentation import protected
from model_service.api import documentation
from model_service.api.http import respond
from model_service.api.page import page
from model_service.api.predict import Name, VersionPath
from model_service.errors import ModelNotReady

if TYPE_CHECKING:
    from model_service.registry import Registry
    from model_service.versions import Version

OF_A_VERSION = ("/predict", "/predict/batch")
"""Paths that each version has below its own."""
router = APIRouter(include_in_schema=False)


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of the service, with the schemas of the version that is the default now; made once for each.

    Raises:
        ModelNotReady: there is none yet.
    """
    served = app.state.registry.default
    if served is None:
        raise ModelNotReady("the model is not loaded yet")
    if app.openapi_schema is None or app.state.described is not served:
        app.openapi_schema, app.state.described = _document(app, served, app.routes), served
    return app.openapi_schema


@router.get("/models/{name}/openapi.json")
async def model_document(request: Request, name: Name) -> Response:
    """The document of the version that answers for a model where none is named."""
    return respond(await _below(request, name, None))


@router.get("/models/{name}/versions/{version}/openapi.json")
async def version_document(request: Request, name: Name, version: VersionPath) -> Response:
    """The document of a version, which is loaded for it when it is not yet."""
    return respond(await _below(request, name, version))


@router.get("/models/{name}/docs")
@router.get("/models/{name}/versions/{version}/docs")
async def documents() -> HTMLResponse:
    """The same for people."""
    return await page()


async def _below(request: Request, name: str, version: str | None) -> dict[str, Any]:
    app: FastAPI = request.app
    registry: Registry = app.state.registry
    served = await registry.version(name, version)
    routes = [route for route in app.routes if getattr(route, "path", None) in OF_A_VERSION]
    above = f"/models/{name}/versions/{version}" if version else f"/models/{name}"
    document = _document(app, served, routes) | {"servers": [{"url": above}]}
    for scheme in document["components"].get("securitySchemes", {}).values():
        if "flows" in scheme:
            scheme["flows"] = _seen_from(above, scheme["flows"])
    return document


def _seen_from(above: str, flows: dict[str, Any]) -> dict[str, Any]:
    """OAuth2 flows whose addresses are relative to the service, relative to a document below `above`."""
    up = "../" * above.count("/")
    return {kind: flow | {"tokenUrl": up + flow["tokenUrl"]} for kind, flow in flows.items()}


def _document(app: FastAPI, served: "Version", routes: Any) -> dict[str, Any]:
    settings = app.state.settings
    title = app.title if routes is app.routes else f"{served.name} version {served.version}"
    document = get_openapi(title=title, version=app.version, description=app.description, routes=routes)
    document.setdefault("components", {}).setdefault("schemas", {}).update(
        documentation.schemas(served.schema.signature, settings.max_batch_rows, served.hooks)
    )
    return protected(document, settings.access)
