"""The shadow is asked after the answer, compared and counted; whatever it does, the primary does not notice."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression
from support.batching import samples
from support.bundles import Packed, onnx_bytes, write_bare
from support.estimators import Heavy, Held, Says, Slow

from model_service import loaded, shadow
from model_service.app import create_app
from model_service.settings import Settings
from model_service.traffic.document import ModelTraffic, Shadow, Traffic
from model_service.traffic.orders import Desired

ROW = [5.1, 3.5, 1.4, 0.2]
PATIENCE = 30.0


class Shadowed:
    """A client of a model with a shadow, and what is counted of it."""

    def __init__(self, client: TestClient, key: tuple[str, str]) -> None:
        self.client, self._key = client, key

    def post(self, rows: list[Any]) -> Any:
        if len(rows) == 1:
            answer = self.client.post("/predict", json={"features": rows[0]})
        else:
            answer = self.client.post("/predict/batch", json={"requests": [{"features": row} for row in rows]})
        assert answer.status_code == 200, answer.json()
        return answer

    def metric(self, name: str, *labels: str) -> float:
        return samples(self.client.get("/metrics").text).get((name, (*self._key, *labels)), 0.0)

    def outcomes(self) -> dict[str, float]:
        return {name: self.metric("model_shadow_requests_total", name) for name in ("ok", "failed", "dropped")}

    def wait(self, count: int) -> dict[str, float]:
        """What became of the requests once so many are through."""
        deadline = time.monotonic() + PATIENCE
        while sum(self.outcomes().values()) < count:
            assert time.monotonic() < deadline, self.outcomes()
        return self.outcomes()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs tests is busy, which is what makes a shadow be left alone."""
    monkeypatch.setattr(shadow, "LATE_SECONDS", PATIENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Shadowed]]:
    """Start the application on a root with version 1 of a model and version 2 as its shadow."""
    clients: list[TestClient] = []

    def started(root: Path, name: str, percent: int = 100, **settings: Any) -> Shadowed:
        file = tmp_path / "traffic.json"
        model = {"default": "1", "shadow": {"version": "2", "percent": percent}}
        file.write_text(json.dumps({"generation": 1, "models": {name: model}}))
        given = Settings(model_root=root, model_name=name, model_version="1", traffic_file=file, **settings)
        client = TestClient(create_app(given))
        client.__enter__()
        clients.append(client)
        return Shadowed(client, (name, "2"))

    yield started
    Held.free.set()
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def bare(tmp_path: Path, start: Any) -> Callable[..., Shadowed]:
    """The same for two estimators that are pickled."""

    def started(primary: Any, candidate: Any, **options: Any) -> Shadowed:
        for version, estimator in (("1", primary), ("2", candidate)):
            write_bare(tmp_path / "root", estimator, "says", version)
        return start(tmp_path / "root", "says", allow_pickle=True, **options)

    return started


def test_labels_and_scores_are_compared_row_by_row(
    start: Any, write_bundle: Callable[..., Packed], iris: Any, iris_rows: list[Any]
) -> None:
    other = LogisticRegression(max_iter=500, C=0.01).fit(iris_rows, iris.predict(iris_rows))
    rows = iris_rows[40:140]
    differs = int((iris.predict(rows) != other.predict(rows)).sum())
    assert differs > 0
    write_bundle({"onnx": onnx_bytes(iris, 4)}, version="1")
    packed = write_bundle({"onnx": onnx_bytes(other, 4)}, version="2")
    shadowed = start(packed.root, "iris")
    for row in rows[:20]:
        shadowed.post([row])
    shadowed.post(rows[20:])
    assert shadowed.wait(21) == {"ok": 21, "failed": 0, "dropped": 0}
    assert shadowed.metric("model_shadow_disagreements_total") == differs
    largest = np.abs(iris.predict_proba(rows) - other.predict_proba(rows)).max(axis=1)
    assert shadowed.metric("model_shadow_score_difference_count") == len(rows)
    assert shadowed.metric("model_shadow_score_difference_sum") == pytest.approx(largest.sum())
    assert shadowed.metric("model_request_duration_seconds_count", "shadow", "ok") == 21
    assert shadowed.metric("model_request_duration_seconds_count", "default", "ok") == 0


def test_a_shadow_that_fails_is_counted_and_fails_nobody(bare: Any) -> None:
    shadowed = bare(Slow(), Says(3))
    for value in (0.0, 0.0, -0.0):
        assert shadowed.post([[value]]).json()["model_version"] == "1"
    shadowed.wait(3)
    assert shadowed.metric("model_shadow_score_difference_sum") == 9
    assert shadowed.outcomes() == {"ok": 3, "failed": 0, "dropped": 0}


def held() -> Held:
    estimator = Held()
    estimator.n_features_in_ = 1
    return estimator


def test_one_request_that_the_shadow_cannot_bear_fails_alone(bare: Any) -> None:
    Held.hold()
    shadowed = bare(Heavy(1), held())
    shadowed.post([[1.0]])
    Held.wait_entered()  # what comes now is asked together
    for value in (1.0, -2.0, 3.0):
        shadowed.post([[value]])
    Held.free.set()
    assert shadowed.wait(4) == {"ok": 3, "failed": 1, "dropped": 0}


def test_a_shadow_that_hangs_drops_and_delays_nobody(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MAX_REQUESTS", 5)
    Held.hold()
    shadowed = bare(Says(1), held())
    shadowed.post([[1.0]])
    Held.wait_entered()
    for _ in range(20):
        assert shadowed.post([[1.0]]).json()["prediction"] == 1
    assert shadowed.outcomes() == {"ok": 0, "failed": 0, "dropped": 15}
    Held.free.set()
    assert shadowed.wait(21) == {"ok": 6, "failed": 0, "dropped": 15}


def test_what_waits_is_bounded_in_bytes_too(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MAX_BYTES", 40)
    shadowed = bare(Says(1), Says(1))
    shadowed.post([[1.0]])
    shadowed.post([[1.0]] * 9)
    assert shadowed.wait(2) == {"ok": 1, "failed": 0, "dropped": 1}


def test_a_late_event_loop_drops_what_was_gathered(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "LATE_SECONDS", -1.0)
    shadowed = bare(Says(1), Says(2))
    shadowed.post([[1.0]])
    assert shadowed.wait(1) == {"ok": 0, "failed": 0, "dropped": 1}


def test_a_share_of_the_requests_is_mirrored(bare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow.random, "random", random.Random(0).random)
    shadowed = bare(Says(1), Says(1), percent=30)
    for _ in range(300):
        shadowed.post([[1.0]])
    assert 60 <= shadowed.wait(60)["ok"] < 130
    assert shadowed.metric("model_shadow_disagreements_total") == 0


def test_named_requests_to_the_shadow_are_not_mirrored_to_it(bare: Any) -> None:
    shadowed = bare(Says(1), Says(2))
    answer = shadowed.client.post("/models/says/versions/2/predict", json={"features": [1.0]})
    assert (answer.json()["prediction"], answer.headers["x-model-variant"]) == (2, "named")
    shadowed.post([[1.0]])
    assert shadowed.wait(1) == {"ok": 1, "failed": 0, "dropped": 0}


def test_a_shadow_that_a_client_hangs_is_asked_no_more_and_its_worker_stays(
    bare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Held.hold()
    shadowed = bare(Says(1), held(), request_timeout_seconds=3, worker_timeout_seconds=4)
    asked = {"url": "/models/says/versions/2/predict", "json": {"features": [1.0]}}
    assert shadowed.client.post(**asked, headers={"x-request-timeout-ms": "200"}).status_code == 504
    deadline = time.monotonic() + PATIENCE
    while states(shadowed) != {"1": "ready", "2": "failed"}:
        assert time.monotonic() < deadline
    assert shadowed.client.get("/health").status_code == 200
    assert shadowed.post([[1.0]]).json()["prediction"] == 1
    assert sum(shadowed.outcomes().values()) == 0
    answer = shadowed.client.post(**asked)
    assert (answer.status_code, "has not ended in 4 s" in answer.json()["message"]) == (503, True)
    Held.free.set()
    monkeypatch.setattr(loaded, "RETRY_SECONDS", 0)  # it is loaded anew
    assert shadowed.client.post(**asked).status_code == 200


def states(shadowed: Shadowed) -> dict[str, str]:
    return {model["version"]: model["state"] for model in shadowed.client.get("/health").json()["models"]}


def test_a_change_of_what_is_mirrored_takes_up_and_lets_go(
    start: Any, write_bundle: Callable[..., Packed], iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, version=version)
    shadowed = start(packed.root, "iris")
    registry = shadowed.client.app.state.registry  # type: ignore[attr-defined]
    mirror = registry.mirrors["iris"]
    for shadow_of, expected in (({"version": "2", "percent": 5}, mirror), (None, None)):
        model = ModelTraffic("1", shadow=None if shadow_of is None else Shadow(**shadow_of))
        registry.apply(Desired(Traffic(2, {"iris": model})))
        assert registry.mirrors.get("iris") is expected
    assert mirror.percent == 5
    shadowed.post([ROW])
    assert sum(shadowed.outcomes().values()) == 0
    answer = shadowed.client.post("/models/iris/versions/2/predict", json={"features": ROW})
    assert answer.status_code == 200


def test_a_shadow_reads_requests_in_its_own_way(start: Any, write_bundle: Callable[..., Packed], iris: Any) -> None:
    hooks = (
        "def preprocess(rows):\n"
        "    if rows[0]['sepal_length'] > 6:\n"
        "        raise ValueError('too long')\n"
        "    return [{**row, 'petal_length': 6.0, 'petal_width': 2.0} for row in rows]\n"
    )
    write_bundle({"onnx": onnx_bytes(iris, 4)}, version="1")
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, version="2", hooks=hooks)
    shadowed = start(packed.root, "iris", allow_pickle=True)
    for rows in ([ROW], [ROW, ROW], [[7.0, 3.0, 1.0, 0.2]]):
        assert {answer["prediction"] for answer in answers(shadowed.post(rows))} == {0}
    assert shadowed.wait(3) == {"ok": 2, "failed": 1, "dropped": 0}
    assert shadowed.metric("model_shadow_disagreements_total") == 3


def answers(response: Any) -> list[dict[str, Any]]:
    body = response.json()
    found: list[dict[str, Any]] = body.get("predictions", [body])
    return found
