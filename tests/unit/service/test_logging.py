"""Log lines: JSON, one a request, none for healthy probes, nothing of the payload."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import Packed

from model_service.telemetry.logs import set_up_logging

ROW = [5.1, 3.5, 1.4, 0.2]


def flush(client: TestClient) -> None:
    """Write what was gathered, on the event loop, which may be at it."""
    client.portal.call(client.app.state.lines.flush)  # type: ignore[attr-defined,union-attr]


@pytest.fixture
def lines(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Read back what was logged since."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    set_up_logging("info")
    set_up_logging("info")  # a second call must not double the lines

    def read() -> list[dict[str, Any]]:
        flush(client)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_one_line_a_request_with_what_operations_need(client: TestClient, lines: Any) -> None:
    client.post("/predict", json={"features": ROW}, headers={"x-request-id": "abc-1"})
    access = [line for line in lines() if line["logger"] == "model_service.access"]
    assert len(access) == 1
    line = access[0]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("POST", "/predict", 200, "info")
    assert (line["model_name"], line["model_version"], line["request_id"]) == ("iris", "1", "abc-1")
    assert line["duration_ms"] > 0
    assert line["time"].endswith("Z")


def test_healthy_probes_are_silent_and_failing_ones_are_not(client: TestClient, lines: Any) -> None:
    client.get("/health")
    client.get("/health/live")
    assert [line for line in lines() if line["logger"] == "model_service.access"] == []
    client.app.state.board.release(0)  # type: ignore[attr-defined]
    client.get("/health")
    assert [line["status"] for line in lines() if line["logger"] == "model_service.access"] == [503]


def test_the_payload_is_never_logged(client: TestClient, lines: Any) -> None:
    client.post("/predict", json={"features": ["canary-7261", 1, 1, 1]})
    client.post("/predict", content=b"canary-7261", headers={"content-type": "application/json"})
    assert len(lines()) >= 2
    assert "canary-7261" not in json.dumps(lines())


async def half_a_body(app: Any) -> list[Any]:
    """Send the first half of a request and hang up; returns what was answered."""
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "scheme": "http", "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)
    return sent


def test_a_client_that_hangs_up_is_no_error(client: TestClient, lines: Any) -> None:
    assert asyncio.run(half_a_body(client.app)) == []
    assert [(line["status"], line["level"]) for line in lines()] == [(499, "info")]


def test_request_ids_are_echoed_or_made(client: TestClient) -> None:
    assert client.get("/health", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    for bad in ("", "x" * 200):
        made = client.get("/health", headers={"x-request-id": bad}).headers["x-request-id"]
        assert made
        assert made != bad


def test_what_nobody_caught_is_a_500_without_a_trace_and_is_logged(
    client: TestClient, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("inside-detail")

    monkeypatch.setattr(client.app.state.registry, "states", explode)  # type: ignore[attr-defined]
    response = client.get("/health")
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")
    assert "inside-detail" not in response.text
    logged = [line for line in lines() if "exception" in line]
    assert "inside-detail" in logged[0]["exception"]
    assert logged[0]["request_id"] == response.headers["x-request-id"]


def test_only_the_named_features_are_logged_and_only_so_many_rows(
    serve: Callable[..., TestClient], iris_bundle: Packed, lines: Any
) -> None:
    served = serve(iris_bundle, log_input_fields=("petal_width", "unknown"))
    served.post("/predict", json={"features": ROW})
    served.post("/predict/batch", json={"requests": [{"features": ROW}] * 30})
    flush(served)
    inputs = [line["inputs"] for line in lines() if "inputs" in line]
    assert inputs == [[{"petal_width": "0.2"}], [{"petal_width": "0.2"}] * 10]
