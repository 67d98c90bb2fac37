"""`/openapi.json` from the served model's own signature: names, types, ranges, categories, examples."""

from typing import Any

from model_artifact.coercion import integer_bounds
from model_artifact.signature import Feature, Output, Signature
from model_service.hooks import Hooks

_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
_ERROR = {
    "type": "object",
    "required": ["error", "message", "detail"],
    "properties": {
        "error": {"type": "string", "description": "Machine-readable code"},
        "message": {"type": "string", "description": "What is wrong, in a sentence"},
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": ["string", "null"]},
                    "row": {"type": ["integer", "null"], "description": "From 0"},
                    "expected": {"type": "string"},
                    "got": {"type": "string"},
                },
            },
        },
    },
}

_PREPROCESSED: dict[str, Any] = {
    "type": ["object", "array"],
    "description": "What the preprocess function in the bundle takes, and makes into Features",
}


def schemas(signature: Signature, max_batch_rows: int, hooks: Hooks | None = None) -> dict[str, Any]:
    """The component schemas that the predict endpoints refer to; what hooks take and add is theirs to say."""
    hooks = hooks or Hooks()
    request = _request(signature) if hooks.preprocess is None else _PREPROCESSED | {"examples": list(hooks.examples)}
    prediction = _prediction(signature)
    if hooks.postprocess is not None:
        prediction |= {"additionalProperties": True, "required": []}
    rows = {"type": "array", "minItems": 1, "maxItems": max_batch_rows, "items": {"$ref": _ref("PredictRequest")}}
    return {
        "Features": _named(signature),
        "PredictRequest": request,
        "BatchRequest": _object({"requests": rows}),
        "Prediction": prediction,
        "BatchPrediction": _object(
            {
                "predictions": {"type": "array", "items": {"$ref": _ref("Prediction")}},
                "batch_size": {"type": "integer"},
                "processing_time": {"type": "number", "description": "Seconds"},
            }
        ),
        "Error": _ERROR,
    }


def _ref(name: str) -> str:
    return f"#/components/schemas/{name}"


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _request(signature: Signature) -> dict[str, Any]:
    features = {"$ref": _ref("Features")}
    wrapped = _object({"features": {"anyOf": [features, _positional(signature)]}})
    request: dict[str, Any] = {"anyOf": [wrapped, features]}
    example = {feature.name: feature.example for feature in signature.inputs if feature.example is not None}
    if all(feature.name in example for feature in signature.inputs if feature.required):
        request["examples"] = [{"features": example}]
    return request


def _named(signature: Signature) -> dict[str, Any]:
    rules = "; ".join(f"{rule.message} ({rule.expr})" for rule in signature.rules)
    return {
        "type": "object",
        **({"description": f"Rules: {rules}"} if rules else {}),
        "required": [feature.name for feature in signature.inputs if feature.required],
        "properties": {feature.name: _feature(feature) for feature in signature.inputs},
        "additionalProperties": False,
    }


def _positional(signature: Signature) -> dict[str, Any]:
    count = len(signature.inputs)
    return {
        "type": "array",
        "description": f"In this order: {', '.join(signature.names)}",
        "minItems": count,
        "maxItems": count,
        "prefixItems": [_feature(feature) for feature in signature.inputs],
    }


def _feature(feature: Feature) -> dict[str, Any]:
    schema: dict[str, Any] = _type(feature.dtype)
    if feature.nullable and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    schema |= {_BOUNDS[name]: bound for name in _BOUNDS if (bound := getattr(feature, name)) is not None}
    if feature.categories is not None:
        schema["enum"] = [*feature.categories, *([None] if feature.nullable else [])]
    if feature.computed is not None:
        schema["description"] = f"{feature.description} Computed when left out: {feature.computed}".strip()
    elif feature.description:
        schema["description"] = feature.description
    if feature.default is not None:
        schema["default"] = feature.default
    if feature.example is not None:
        schema["examples"] = [feature.example]
    return schema


def _type(dtype: str) -> dict[str, Any]:
    if dtype == "any":
        return {}
    if dtype in {"string", "bool"}:
        return {"type": {"string": "string", "bool": "boolean"}[dtype]}
    if dtype.startswith("float"):
        return {"type": "number"}
    low, high = integer_bounds(dtype)
    return {"type": "integer", "minimum": low, "maximum": high}


def _prediction(signature: Signature) -> dict[str, Any]:
    value = _output(signature.outputs[0])
    label: dict[str, Any] = {"type": ["string", "null"]}
    if signature.task == "classification" and signature.outputs[0].shape:
        label = {"type": "array", "items": {"type": "string"}}
    elif signature.labels:
        label = {"enum": list(signature.labels)}
    # Models answer NaN to inputs beyond their arithmetic, and JSON has null for it.
    score = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    probabilities: dict[str, Any] = {"type": "null"}
    if signature.has_probabilities:
        probabilities = _object(dict.fromkeys(signature.labels, score))
    return _object(
        {
            "prediction": value | {"description": "The estimator's own value"},
            "prediction_class": label | {"description": "Its label; null where the model has no classes"},
            "probability": (score if signature.has_probabilities else {"type": "null"})
            | {"description": "Of the returned class"},
            "probabilities": probabilities | {"description": "By label"},
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "prediction_id": {"type": "string", "format": "uuid"},
            "timestamp": {"type": "string", "format": "date-time"},
        }
    )


def _output(output: Output) -> dict[str, Any]:
    schema = _type(output.dtype)
    for bound in ("minimum", "maximum"):
        schema.pop(bound, None)
    if schema.get("type") == "number":
        schema["type"] = ["number", "null"]
    for _ in output.shape:
        schema = {"type": "array", "items": schema}
    return schema
