"""The service does what its OpenAPI document says, for whatever the document allows and for what it does not."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from fastapi.openapi.utils import get_openapi
from schemathesis import GenerationMode
from support.service import Service

from model_service.app import create_app
from model_service.settings import Settings

EXAMPLES = 40
PATHS = get_openapi(title="", version="", routes=create_app(Settings()).routes)["paths"]
OPERATIONS = [
    (method, path, mode)
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or "requestBody" in operation
]
REFUSALS = ["400", "404", "405", "413", "415", "422"]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json", config=CONFIG)


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_answers_are_as_documented(document: Any, method: str, path: str, mode: GenerationMode) -> None:
    @hypothesis.given(case=document[path][method].as_strategy(generation_mode=mode))
    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck), database=None)
    def check(case: Any) -> None:
        case.call_and_validate()

    check()
