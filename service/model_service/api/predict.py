"""`/predict` and `/predict/batch`, for the default model and for a named one.

The same `answer` serves the routes below, which FastAPI documents, and `api.hot`, which goes around it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from model_service.api.http import JSON, refuse_other_media
from model_service.errors import InvalidInput
from model_service.predictor import Call, Choice, Predictor
from model_service.telemetry.requests import Exchange

router = APIRouter(tags=["predict"])


def _documented(request: str, response: str) -> dict[str, Any]:
    """OpenAPI parts whose schemas `api.documentation` generates from the model's signature."""

    def content(name: str) -> dict[str, Any]:
        return {JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    problem = {"content": content("Error")}
    failures = {
        404: "No such model or version",
        413: "Body or batch too large",
        415: "Not JSON",
        422: "Breaks the model's signature",
        429: "Too many requests wait",
        500: "The model failed",
        503: "The model is not loaded",
        504: "Not answered in time",
    }
    return {
        "openapi_extra": {"requestBody": {"required": True, "content": content(request)}},
        "responses": {200: {"content": content(response), "description": "The model's answer"}}
        | {status: problem | {"description": text} for status, text in failures.items()},
        "response_class": Response,
    }


ONE = _documented("PredictRequest", "Prediction")
BATCH = _documented("BatchRequest", "BatchPrediction")
Name = Annotated[str, Path(description="Model name")]
VersionPath = Annotated[str, Path(description="Model version")]
VersionQuery = Annotated[str | None, Query(description="Model version; the default one when left out")]
Answer = Callable[[Predictor, bytes, Choice, Call], Awaitable[bytes]]
TIMEOUT = b"x-request-timeout-ms"


async def answer(predictor: Predictor, method: Answer, choice: Choice, exchange: Exchange, receive: Receive) -> bytes:
    """Read a request's body and answer it.

    Raises:
        ServiceError: see `model_service.errors`.
        ClientDisconnect, ClientLeft: nobody waits for the answer.
    """
    media = exchange.headers.get(b"content-type")
    if media != b"application/json":
        refuse_other_media((media or b"").decode("latin-1"))
    body = await _read(receive)

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    call = Call(
        exchange.started,
        seconds_of(exchange.headers),
        gone,
        exchange.span,
        exchange.known,
        exchange.headers,
        exchange.headers_out,
    )
    return await method(predictor, body, choice, call)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    pieces = []
    while message["type"] == "http.request":
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)
        message = await receive()
    raise ClientDisconnect


def seconds_of(headers: Mapping[bytes, bytes]) -> float | None:
    """How long the client is ready to wait, where it says so.

    Raises:
        InvalidInput: what it says is no time.
    """
    given = headers.get(TIMEOUT)
    if given is None:
        return None
    text = given.decode("latin-1")
    if not text.isascii() or not text.isdigit() or not 0 < len(text) < 10:
        raise InvalidInput(f"X-Request-Timeout-Ms: expected a whole number of milliseconds, got {text[:32]!r}")
    return int(text) / 1000


@router.post("/predict", summary="Predict one row", **ONE)
async def predict(request: Request, version: VersionQuery = None) -> Response:
    """Answer one row, given by position or by name."""
    return await _respond(request, Predictor.one, Choice(None, version))


@router.post("/predict/batch", summary="Predict many rows", **BATCH)
async def predict_batch(request: Request, version: VersionQuery = None) -> Response:
    """Answer many rows in one vectorised call; order is kept."""
    return await _respond(request, Predictor.batch, Choice(None, version))


@router.post("/models/{name}/predict", summary="Predict one row with a named model", **ONE)
async def predict_model(request: Request, name: Name, version: VersionQuery = None) -> Response:
    """As `/predict`, for the model `name`."""
    return await _respond(request, Predictor.one, Choice(name, version))


@router.post("/models/{name}/predict/batch", summary="Predict many rows with a named model", **BATCH)
async def predict_model_batch(request: Request, name: Name, version: VersionQuery = None) -> Response:
    """As `/predict/batch`, for the model `name`."""
    return await _respond(request, Predictor.batch, Choice(name, version))


@router.post("/models/{name}/versions/{version}/predict", summary="Predict one row with a named version", **ONE)
async def predict_version(request: Request, name: Name, version: VersionPath) -> Response:
    """As `/predict`, for one version."""
    return await _respond(request, Predictor.one, Choice(name, version))


@router.post(
    "/models/{name}/versions/{version}/predict/batch", summary="Predict many rows with a named version", **BATCH
)
async def predict_version_batch(request: Request, name: Name, version: VersionPath) -> Response:
    """As `/predict/batch`, for one version."""
    return await _respond(request, Predictor.batch, Choice(name, version))


async def _respond(request: Request, method: Answer, choice: Choice) -> Response:
    exchange: Exchange = request.state.exchange
    content = await answer(request.app.state.predictor, method, choice, exchange, request.receive)
    return Response(content, media_type=JSON)
