"""The API's documentation says what this model takes and gives."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import IRIS_NAMES, LABELS

from model_artifact.signature import Feature, Output, Rule, Signature
from model_service.api.documentation import schemas


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    content: dict[str, Any] = client.get("/openapi.json").json()
    return content


def test_features_are_named_typed_and_bounded(document: dict[str, Any]) -> None:
    features = document["components"]["schemas"]["Features"]
    assert list(features["properties"]) == list(IRIS_NAMES)
    assert features["required"] == list(IRIS_NAMES)
    expected = {"type": "number", "minimum": 0, "maximum": 20, "examples": [1.5]}
    assert features["properties"]["sepal_length"] == expected


def test_answers_list_the_labels(document: dict[str, Any]) -> None:
    prediction = document["components"]["schemas"]["Prediction"]["properties"]
    assert prediction["prediction_class"]["enum"] == list(LABELS)
    assert list(prediction["probabilities"]["properties"]) == list(LABELS)


def test_every_reference_resolves_and_every_route_documents_its_errors(document: dict[str, Any]) -> None:
    names = set(document["components"]["schemas"])

    def references(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"].removeprefix("#/components/schemas/")
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    assert set(references(document)) <= names
    for path in ("/predict", "/predict/batch", "/models/{name}/versions/{version}/predict"):
        assert {"200", "404", "413", "415", "422", "500", "503"} <= set(document["paths"][path]["post"]["responses"])


def test_the_documented_example_is_answered(client: TestClient, document: dict[str, Any]) -> None:
    example = document["components"]["schemas"]["PredictRequest"]["examples"][0]
    assert client.post("/predict", json=example).status_code == 200


def test_rules_are_told() -> None:
    rule = Rule("a < b", "an a below b")
    inputs = (Feature("a", "float64"), Feature("b", "float64"))
    made = schemas(Signature("regression", "matrix", inputs, (Output("prediction", "float64"),), rules=(rule,)), 1)
    assert made["Features"]["description"] == "Rules: an a below b (a < b)"


def test_pages_are_served(client: TestClient) -> None:
    for path in ("/docs", "/redoc"):
        page = client.get(path)
        assert page.status_code == 200
        assert 'fetch("openapi.json")' in page.text


def test_pages_take_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert not re.findall(r"""(?:src|href)\s*=|@import|https?://|["']//""", page.text.replace('href="data:,"', ""))
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert "innerHTML" not in page.text  # names and descriptions come from whoever packed the model


def test_every_kind_of_feature_is_described() -> None:
    inputs = (
        Feature("age", "int8", ge=18, default=40, description="years"),
        Feature("plan", "string", categories=("basic", "pro"), nullable=True),
        Feature("active", "bool"),
        Feature("bmi", "float64", computed="age / 2", description="index"),
        Feature("anything", "any", nullable=True),
    )
    outputs = (Output("prediction", "int64", (2,)),)
    made = schemas(Signature("classification", "frame", inputs, outputs), 7)
    properties = made["Features"]["properties"]
    assert properties["age"] == {
        "type": "integer", "minimum": 18, "maximum": 127, "default": 40, "description": "years",
    }  # fmt: skip
    assert properties["plan"] == {"type": ["string", "null"], "enum": ["basic", "pro", None]}
    assert properties["active"] == {"type": "boolean"}
    assert properties["bmi"]["description"] == "index Computed when left out: age / 2"
    assert properties["anything"] == {}
    assert made["Features"]["required"] == ["plan", "active", "anything"]
    assert "examples" not in made["PredictRequest"]
    assert made["BatchRequest"]["properties"]["requests"]["maxItems"] == 7
    answer = made["Prediction"]["properties"]
    assert answer["prediction"]["type"] == "array"
    assert answer["prediction_class"]["type"] == "array"
    assert answer["probabilities"]["type"] == "null"
