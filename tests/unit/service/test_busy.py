"""A service whose model is busy, slow or broken, as its clients and its cluster see it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.batching import samples
from support.estimators import Held

from model_artifact.signature import Feature, Output, Signature
from model_service.telemetry.batches import BatchTelemetry

SIGNATURE = Signature("regression", "matrix", (Feature("x", "float64"),), (Output("prediction", "float64"),))
TIMEOUT = "x-request-timeout-ms"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.fixture
def held(write_bundle: Any, serve: Any) -> Iterator[Callable[..., TestClient]]:
    """Serve a model that is held until the test ends or frees it."""

    def start(**settings: Any) -> TestClient:
        client: TestClient = serve(write_bundle({"joblib": Held()}, signature=SIGNATURE), allow_pickle=True, **settings)
        Held.hold()
        return client

    yield start
    Held.free.set()


class Clients:
    """Clients that do not wait for each other."""

    def __init__(self, client: TestClient, pool: ThreadPoolExecutor) -> None:
        self._client, self._pool = client, pool

    def send(self, value: float, **headers: str) -> "Future[Any]":
        return self._pool.submit(self.ask, value, **headers)

    def ask(self, value: float, **headers: str) -> Any:
        return self._client.post("/predict", json={"features": [value]}, headers=headers)

    def metric(self, name: str, *labels: str) -> float:
        return samples(self._client.get("/metrics").text).get((name, labels), 0.0)

    def wait_queued(self, requests: int) -> None:
        """Return when so many predict requests are being answered."""
        while self.metric("model_requests_in_flight") < requests:
            pass


@contextmanager
def busy(clients: Clients) -> Iterator[None]:
    """One call of the model that ends with the block."""
    Held.hold()
    running = clients.send(1.0)
    Held.wait_entered()
    yield
    Held.free.set()
    assert running.result().json()["prediction"] == 2.0


def test_probes_are_answered_while_the_model_is_busy(held: Any, pool: ThreadPoolExecutor) -> None:
    client = held()
    clients = Clients(client, pool)
    with busy(clients):
        waiting = [clients.send(float(value)) for value in range(20)]
        clients.wait_queued(21)
        for path in ("/health", "/health/live", "/metrics", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert not any(future.done() for future in waiting)
    assert [future.result().json()["prediction"] for future in waiting] == [2.0 * value for value in range(20)]


def test_thirty_one_good_requests_are_answered_beside_a_bad_one(held: Any, pool: ThreadPoolExecutor) -> None:
    clients = Clients(held(), pool)
    with busy(clients):
        waiting = [clients.send(-1.0 if value == 7 else float(value)) for value in range(32)]
        clients.wait_queued(33)
    answers = [future.result() for future in waiting]
    bad = answers.pop(7)
    assert (bad.status_code, bad.json()["error"]) == (500, "prediction_failed")
    assert "canary" not in bad.text
    assert [answer.json()["prediction"] for answer in answers] == [2.0 * value for value in range(32) if value != 7]
    assert clients.metric("model_batch_rows_count", "iris", "1") == 2
    assert clients.metric("model_request_duration_seconds_count", "iris", "1", "default", "ok") == 32
    assert clients.metric("model_request_duration_seconds_count", "iris", "1", "default", "failed") == 1


def test_a_deadline_is_kept_whoever_is_busy(held: Any, pool: ThreadPoolExecutor) -> None:
    clients = Clients(held(request_timeout_seconds=20), pool)
    with busy(clients):
        late = clients.ask(2.0, **{TIMEOUT: "50"})
        assert (late.status_code, late.json()["error"]) == (504, "deadline_exceeded")
    assert clients.metric("model_request_duration_seconds_count", "iris", "1", "default", "deadline") == 1
    assert clients.metric("model_batch_rows_sum", "iris", "1") == 1  # it never reached the model


def test_a_client_has_no_more_time_than_the_setting_gives(held: Any, pool: ThreadPoolExecutor) -> None:
    clients = Clients(held(request_timeout_seconds=0.1), pool)
    assert clients.ask(1.0, **{TIMEOUT: "600000"}).status_code == 504
    Held.free.set()


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "10000000000"])
def test_a_time_that_is_none_is_refused(held: Any, pool: ThreadPoolExecutor, text: str) -> None:
    refused = Clients(held(), pool).ask(1.0, **{TIMEOUT: text})
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_input")
    assert "X-Request-Timeout-Ms: expected a whole number of milliseconds" in refused.json()["message"]


def test_a_full_queue_is_a_429_that_says_when_to_come_back(held: Any, pool: ThreadPoolExecutor) -> None:
    clients = Clients(held(queue_max_rows=3), pool)
    with busy(clients):
        waiting = [clients.send(float(value)) for value in range(3)]
        clients.wait_queued(4)
        refused = clients.ask(9.0)
        assert (refused.status_code, refused.json()["error"]) == (429, "overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [future.result().status_code for future in waiting] == [200] * 3
    assert clients.metric("model_request_duration_seconds_count", "iris", "1", "default", "overload") == 1
    assert clients.metric("http_server_request_duration_seconds_count", "POST", "/predict", "429") == 1


def test_a_fault_of_ours_turns_readiness_red_and_not_liveness(
    held: Any, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = held()
    Held.free.set()

    def fail(*_: Any) -> None:
        raise OSError("canary of a fault")

    monkeypatch.setattr(BatchTelemetry, "started", fail)
    answer = Clients(client, pool).ask(1.0)
    assert answer.status_code == 500
    assert "canary" not in answer.text
    health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "failed")
    assert client.get("/health/live").status_code == 200
    assert Clients(client, pool).ask(1.0).status_code == 503
