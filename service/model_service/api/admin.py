"""`/admin/...`: commands to all workers of this pod; served on the admin port only."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from model_service.admin.commands import Commands
from model_service.api.http import respond
from model_service.errors import InvalidInput
from model_service.traffic.document import TrafficInvalid, as_json, parse

router = APIRouter(tags=["admin"])
Name = Annotated[str, Path(description="Model name")]
Version = Annotated[str, Path(description="Model version")]
REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such model or version"},
    409: {"description": "It does not fit what is in force"},
}
UNSERVABLE: dict[int | str, dict[str, Any]] = {422: {"description": "The version cannot be served, and why"}}


def _commands(request: Request) -> Commands:
    commands: Commands = request.app.state.commands
    return commands


@router.get("/health", summary="Whether this port answers")
async def health() -> Response:
    """Answer 200."""
    return respond({"status": "ok"})


@router.get("/admin/models", summary="Versions, loaded or not")
async def models(request: Request) -> Response:
    """Every version that lies in the model root or is loaded, with its state, memory and share of traffic."""
    return respond(_commands(request).overview())


@router.post("/admin/models/{name}/versions/{version}/load", summary="Load a version", responses=REFUSALS | UNSERVABLE)
async def load(request: Request, name: Name, version: Version) -> Response:
    """Load and prove a version in every worker of this pod; answered when all of them serve it."""
    return respond(await _commands(request).load((name, version)))


@router.post("/admin/models/{name}/versions/{version}/unload", summary="Unload a version", responses=REFUSALS)
async def unload(request: Request, name: Name, version: Version) -> Response:
    """Drop a version from every worker of this pod; what it is answering is finished."""
    return respond(await _commands(request).unload((name, version)))


@router.get("/admin/traffic", summary="The traffic document in force")
async def traffic(request: Request) -> Response:
    """The document, whose generation is 0 when there is none."""
    return respond(as_json(_commands(request).traffic))


@router.put(
    "/admin/traffic",
    summary="Put a traffic document in force",
    responses={409: REFUSALS[409], 422: {"description": "It is no traffic document"}},
)
async def set_traffic(request: Request) -> Response:
    """Take a document, JSON or YAML, of a higher generation; answered when every worker of this pod acts upon it."""
    try:
        document = parse(await request.body())
    except TrafficInvalid as error:
        raise InvalidInput(f"the traffic document: {error}") from error
    return respond(as_json(await _commands(request).set_traffic(document)))
