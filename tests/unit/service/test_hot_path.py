"""All ways through the service are one: the same requests get the same answers.

`client` is answered by the hot routes in the test's own process, `wire` by the express way on a socket; a query string
leads both to the framework.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.batching import samples
from support.bundles import IRIS_NAMES, Packed
from support.connected import Connected, connected

from model_service import errors
from model_service.app import create_app
from model_service.batching import Batcher
from model_service.board import State
from model_service.settings import Settings

ROW = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(IRIS_NAMES, ROW, strict=True))
GOOD = json.dumps({"features": ROW}).encode()
BATCH = json.dumps({"requests": [{"features": ROW}, NAMED]}).encode()
JSON = {"content-type": "application/json"}
TIMEOUT = "x-request-timeout-ms"
OWN = {"prediction_id", "timestamp", "processing_time"}
"""What no two answers have in common."""

Case = tuple[str, bytes, dict[str, Any]]
PATHS = ("/predict", "/models/iris/predict", "/models/iris/versions/1/predict")
BODIES = {
    "positional": GOOD, "named": json.dumps({"features": NAMED}).encode(), "bare": json.dumps(NAMED).encode(),
    "short": b'{"features": [1]}', "text": b'{"features": ["x", 1, 1, 1]}', "range": b'{"features": [21, -1, 1, 1]}',
    "null": b'{"features": [null, 1, 1, 1]}', "unknown name": b'{"x": 1}', "beside": b'{"features": [1,1,1,1], "y": 2}',
    "no json": b'{"features": [1, 2', "NaN": b'{"features": [NaN, 1, 1, 1]}', "empty": b"", "utf-8": b'{"\xff": 1}',
    "deep": b"[" * 5000, "a number": b"7", "a batch": BATCH, "no batch": b'{"requests": 1}',
    "an empty batch": b'{"requests": []}', "too many rows": json.dumps({"requests": [NAMED] * 4}).encode(),
    "bad row of a batch": json.dumps({"requests": [NAMED, {"features": [1, 2, 3, "4"]}]}).encode(),
    "too large": b" " * 2001, "a name twice": b'{"features": 1, ' + GOOD[1:],
}  # fmt: skip
TIMES = ("30000", "0", "-1", "1.5", "", "1e3", "9" * 10, "9" * 9, "x" * 99, "²")
HEADERS: dict[str, dict[str, Any]] = {
    "csv": {"content-type": "text/csv"}, "charset": {"content-type": "Application/JSON; charset=utf-8"},
    "ld": {"content-type": "application/ld+json"}, "pickle": {"content-type": "application/x-python-pickle"},
    "brotli": JSON | {"content-encoding": "br"}, "no gzip": JSON | {"content-encoding": "gzip"},
    "trace": JSON | {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    "long id": JSON | {"x-request-id": "y" * 500},
    **{f"in {text!r} ms": JSON | {TIMEOUT: text.encode()} for text in TIMES},
}  # fmt: skip
CASES: dict[str, Case] = {
    **{f"{name} {path}{kind}": (f"{path}{kind}", body, JSON)
       for name, body in BODIES.items() for path in PATHS for kind in ("", "/batch")},
    **{name: ("/predict", GOOD, headers) for name, headers in HEADERS.items()},
    "no type": ("/predict", GOOD, {}),
    "gzip": ("/predict", gzip.compress(GOOD), JSON | {"content-encoding": "gzip"}),
    **{path: (path, GOOD, JSON) for path in (
        "/models/other/predict", "/models/iris/versions/2/predict", "/models/iris/versions/%2e%2e/predict",
        "/models/a%2Fb/predict", "/models//predict", "/models/iris/versions/1/predict/more", "/models/%ff/predict",
    )},
}  # fmt: skip


@pytest.fixture
def client(serve: Callable[..., TestClient], iris_bundle: Packed) -> TestClient:
    return serve(iris_bundle, max_batch_rows=3, max_body_bytes=2000)


@pytest.fixture
def wire(iris_bundle: Packed) -> Iterator[Connected]:
    settings = Settings(model_root=iris_bundle.root, max_batch_rows=3, max_body_bytes=2000)
    with connected(create_app(settings)) as client:
        yield client


either = pytest.mark.parametrize("way", ["client", "wire"])


def without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_own(inner) for name, inner in value.items() if name not in OWN}
    return [without_own(inner) for inner in value] if isinstance(value, list) else value


def told(response: Any) -> tuple[int, Any, list[tuple[str, str]]]:
    """Status, body and headers, without what no two answers have in common; lengths differ with the body's times."""
    own = {"x-request-id"} | ({"content-length"} if b"processing_time" in response.content else set())
    own |= {"date"}
    headers = sorted((name, value) for name, value in response.headers.multi_items() if name not in own)
    assert response.headers["content-length"] == str(len(response.content))
    return response.status_code, without_own(response.json()), headers


def content(body: bytes) -> Callable[[], bytes]:
    return lambda: body


def both_ways(
    client: TestClient, path: str, body: Callable[[], Any], headers: dict[str, Any], method: str = "POST"
) -> list[Any]:
    """The answers with the hot route and with the framework, which a query string leads to."""
    return [told(client.request(method, path + query, content=body(), headers=headers)) for query in ("", "?x=1")]


@either
def test_every_request_is_answered_alike(way: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(way)
    answers = {name: both_ways(client, path, content(body), headers) for name, (path, body, headers) in CASES.items()}
    differing = {name: (hot, framework) for name, (hot, framework) in answers.items() if hot != framework}
    assert differing == {}
    assert {hot[0] for hot, _ in answers.values()} == {200, 404, 413, 415, 422, 504}


def in_pieces(body: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield from (body[start : start + 10] for start in range(0, len(body), 10))

    return pieces


@pytest.mark.parametrize("body", [GOOD, b" " * 5000, b""], ids=["good", "too large", "empty"])
@either
def test_a_body_in_pieces_is_answered_alike(way: str, request: pytest.FixtureRequest, body: bytes) -> None:
    client = request.getfixturevalue(way)
    hot, framework = both_ways(client, "/predict", in_pieces(body), JSON)
    assert hot == framework


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
@either
def test_other_methods_are_answered_alike(way: str, request: pytest.FixtureRequest, method: str) -> None:
    client = request.getfixturevalue(way)
    hot, framework = both_ways(client, "/predict", content(GOOD), JSON, method)
    assert hot == framework
    assert hot[0] == 405


FAILURES = [
    errors.Overloaded("9 rows wait already", 7), errors.DeadlineExceeded("late"), errors.ModelNotReady("not yet"),
    errors.PredictionFailed("it raised"), RuntimeError("canary: nobody foresaw this"),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@either
def test_failures_are_answered_alike(
    way: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, failure: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def fail(*_: Any) -> None:
        raise failure

    client = request.getfixturevalue(way)
    monkeypatch.setattr(Batcher, "enqueue", fail)
    hot, framework = both_ways(client, "/predict", content(GOOD), JSON)
    assert hot == framework
    assert hot[0] == getattr(failure, "status", 500)
    assert "canary" not in str(hot)


def test_before_the_model_is_loaded_and_while_draining_answers_are_alike(iris_bundle: Packed) -> None:
    app = create_app(Settings(model_root=iris_bundle.root))
    early = TestClient(app)  # its lifespan has not run
    hot, framework = both_ways(early, "/predict", content(GOOD), JSON)
    assert hot == framework
    assert hot[0] == 503
    assert ("retry-after", "1") in hot[2]
    with TestClient(app) as draining:
        app.state.board.write(0, State.DRAINING)
        hot, framework = both_ways(draining, "/predict", content(GOOD), JSON)
    assert hot == framework
    assert ("connection", "close") in hot[2]


def counted(client: TestClient) -> dict[Any, float]:
    """Every counter of a scrape, without times."""
    found = samples(client.get("/metrics").text)
    return {key: value for key, value in found.items() if key[0].endswith(("_count", "_total", "rows_sum"))}


def counted_after(client: Any, query: str) -> dict[Any, float]:
    """What is counted once every case was asked."""
    for path, body, headers in CASES.values():
        client.post(path + query, content=body, headers=headers)
    return counted(client)


def test_all_ways_are_counted_alike(serve: Callable[..., TestClient], iris_bundle: Packed, wire: Connected) -> None:
    found = []
    for query in ("", "?x=1"):
        client = serve(iris_bundle, max_batch_rows=3, max_body_bytes=2000)
        found.append(counted_after(client, query))
    assert found[0] == found[1] == counted_after(wire, "")
    assert sum(value for (name, _), value in found[0].items() if name.startswith("http_server")) == len(CASES)
