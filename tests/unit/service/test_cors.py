"""Pages of other origins: none by default, those of the settings otherwise."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

PAGE = {"origin": "https://app.example"}
HEADERS = "content-type,x-request-id"
PREFLIGHT = PAGE | {"access-control-request-method": "POST", "access-control-request-headers": HEADERS}
ALLOW = "access-control-allow-origin"


def test_no_origin_is_allowed_by_default(client: TestClient) -> None:
    assert ALLOW not in client.get("/health", headers=PAGE).headers
    assert client.options("/predict", headers=PREFLIGHT).status_code == 405


@pytest.mark.parametrize("allowed", ["https://app.example", "*"])
def test_a_page_of_an_allowed_origin_may_call(serve: Any, iris_bundle: Any, allowed: str) -> None:
    client = serve(iris_bundle, cors_allow_origins=("https://other.example", allowed))
    asked = client.options("/predict", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert asked.headers["access-control-allow-headers"] == HEADERS
    response = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}, headers=PAGE)
    assert response.status_code == 200
    assert response.headers[ALLOW] == allowed
    assert "X-Request-ID" in response.headers["access-control-expose-headers"]


def test_another_origin_may_not(serve: Any, iris_bundle: Any) -> None:
    client = serve(iris_bundle, cors_allow_origins=("https://other.example",))
    assert client.options("/predict", headers=PREFLIGHT).status_code == 400
    assert ALLOW not in client.get("/health", headers=PAGE).headers


def test_refusals_can_be_read_by_the_page_too(serve: Any, iris_bundle: Any) -> None:
    client = serve(iris_bundle, cors_allow_origins=("*",), max_body_bytes=10)
    large = client.post("/predict", content=b" " * 11, headers=PAGE)
    encoded = client.post("/predict", content=b"{}", headers=PAGE | {"content-encoding": "br"})
    assert (large.status_code, large.headers[ALLOW]) == (413, "*")
    assert (encoded.status_code, encoded.headers[ALLOW]) == (415, "*")
