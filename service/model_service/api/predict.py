"""`/predict` and `/predict/batch`, for the default model and for a named one."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from model_service.api.http import JSON, read_json, respond
from model_service.predictor import Choice, Predictor

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
        500: "The model failed",
        503: "The model is not loaded",
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


@router.post("/predict", summary="Predict one row", **ONE)
async def predict(request: Request, version: VersionQuery = None) -> Response:
    """Answer one row, given by position or by name."""
    return await _one(request, Choice(None, version))


@router.post("/predict/batch", summary="Predict many rows", **BATCH)
async def predict_batch(request: Request, version: VersionQuery = None) -> Response:
    """Answer many rows in one vectorised call; order is kept."""
    return await _batch(request, Choice(None, version))


@router.post("/models/{name}/predict", summary="Predict one row with a named model", **ONE)
async def predict_model(request: Request, name: Name, version: VersionQuery = None) -> Response:
    """As `/predict`, for the model `name`."""
    return await _one(request, Choice(name, version))


@router.post("/models/{name}/predict/batch", summary="Predict many rows with a named model", **BATCH)
async def predict_model_batch(request: Request, name: Name, version: VersionQuery = None) -> Response:
    """As `/predict/batch`, for the model `name`."""
    return await _batch(request, Choice(name, version))


@router.post("/models/{name}/versions/{version}/predict", summary="Predict one row with a named version", **ONE)
async def predict_version(request: Request, name: Name, version: VersionPath) -> Response:
    """As `/predict`, for one version."""
    return await _one(request, Choice(name, version))


@router.post(
    "/models/{name}/versions/{version}/predict/batch", summary="Predict many rows with a named version", **BATCH
)
async def predict_version_batch(request: Request, name: Name, version: VersionPath) -> Response:
    """As `/predict/batch`, for one version."""
    return await _batch(request, Choice(name, version))


async def _one(request: Request, choice: Choice) -> Response:
    answer = await _predictor(request).one(await read_json(request), choice)
    _tell_log(request, answer)
    return respond(answer)


async def _batch(request: Request, choice: Choice) -> Response:
    answer = await _predictor(request).batch(await read_json(request), choice)
    _tell_log(request, answer["predictions"][0])
    return respond(answer)


def _predictor(request: Request) -> Predictor:
    predictor: Predictor = request.app.state.predictor
    return predictor


def _tell_log(request: Request, answer: dict[str, Any]) -> None:
    request.state.known.update({key: answer[key] for key in ("model_name", "model_version")})
