"""Versions that clients name: loaded once when first asked for, in the bounds of memory and time, and told apart."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import Packed, onnx_bytes

from model_service import loaded, loading, memory, registry
from model_service.loading import Loaded
from model_service.settings import Settings

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}
PATIENCE = 30.0


@pytest.fixture
def versions(write_bundle: Callable[..., Packed], iris: Any) -> Packed:
    """Versions 1 to 4 of iris, the second of which is damaged, and another model."""
    content = onnx_bytes(iris, 4)
    packed = [write_bundle({"onnx": content}, version=str(number)) for number in range(1, 5)]
    (packed[1].directory / "model.onnx").write_bytes(b"damaged")
    write_bundle({"onnx": content}, name="other", version="7")
    return packed[3]


class Loads:
    """Every load of a named version; while it is held, loads do not end."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self.begun = threading.Event()
        self._free = threading.Event()
        self._free.set()

    def __call__(self, settings: Settings, name: str, version: str) -> Loaded:
        self.names.append((name, version))
        self.begun.set()
        assert self._free.wait(PATIENCE)
        return load_named(settings, name, version)

    def hold(self) -> None:
        self._free.clear()
        self.begun.clear()

    def release(self) -> None:
        self._free.set()


load_named = loading.load_named


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loads]:
    recorded = Loads()
    monkeypatch.setattr(loading, "load_named", recorded)
    yield recorded
    recorded.release()


def asked(client: TestClient, path: str, **headers: str) -> tuple[int, Any]:
    response = client.post(path, json=BODY, headers=headers)
    return response.status_code, response.json()


def states(client: TestClient) -> dict[tuple[str, str], str]:
    return {(model["name"], model["version"]): model["state"] for model in client.get("/health").json()["models"]}


def test_a_version_is_found_by_query_and_by_path_and_loaded_once(serve: Any, versions: Packed, loads: Loads) -> None:
    client = serve(versions, model_name="iris")
    for path in ("/predict?version=1", "/models/iris/versions/1/predict", "/models/iris/predict?version=1"):
        status, body = asked(client, path)
        assert (status, body["model_name"], body["model_version"]) == (200, "iris", "1")
    for path in ("/models/other/predict", "/models/other/versions/7/predict"):
        status, body = asked(client, path)
        assert (status, body["model_name"], body["model_version"]) == (200, "other", "7")
    assert asked(client, "/predict")[1]["model_version"] == "4"
    assert loads.names == [("iris", "4"), ("iris", "1"), ("other", "7")]


def test_the_highest_version_is_looked_for_once_a_second_however_many_ask(
    serve: Any, versions: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = registry.published_versions
    monkeypatch.setattr(registry, "published_versions", lambda root, name: looked.append(name) or look(root, name))
    client = serve(versions, model_name="iris")
    for seconds, times in ((-1.0, 5), (PATIENCE, 1)):
        monkeypatch.setattr(registry, "LATEST_SECONDS", seconds)
        looked.clear()
        for _ in range(5):
            assert asked(client, "/models/other/predict")[1]["model_version"] == "7"
        assert looked == ["other"] * times
    assert states(client)["other", "7"] == "ready"


def test_many_first_requests_load_a_version_once_while_others_are_answered(
    serve: Any, versions: Packed, loads: Loads
) -> None:
    client = serve(versions, model_name="iris")
    loads.hold()
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(asked, client, "/predict?version=1") for _ in range(6)]
        assert loads.begun.wait(PATIENCE)
        assert asked(client, "/predict")[0] == 200
        assert client.get("/health").status_code == 200
        loads.release()
        assert [answer.result()[0] for answer in answers] == [200] * 6
    assert loads.names == [("iris", "4"), ("iris", "1")]


def test_a_version_that_takes_longer_to_load_than_the_request_may_is_a_504(
    serve: Any, versions: Packed, loads: Loads
) -> None:
    client = serve(versions, model_name="iris")
    loads.hold()
    status, body = asked(client, "/predict?version=1", **{"x-request-timeout-ms": "50"})
    assert (status, body["error"]) == (504, "deadline_exceeded")
    loads.release()
    assert asked(client, "/predict?version=1")[0] == 200
    assert loads.names == [("iris", "4"), ("iris", "1")]  # the first request's load went on


def test_a_version_that_cannot_be_loaded_is_not_tried_again_at_once(
    serve: Any, versions: Packed, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(versions, model_name="iris")
    for _ in range(3):
        status, body = asked(client, "/predict?version=2")
        assert (status, body["error"]) == (503, "model_not_ready")
        assert body["message"].startswith("iris version 2 cannot be served: ")
    assert loads.names == [("iris", "4"), ("iris", "2")]
    assert states(client) == {("iris", "4"): "ready", ("iris", "2"): "failed"}
    assert client.get("/health").status_code == 200  # the default serves on

    shutil.copy(versions.directory / "model.onnx", versions.root / "iris" / "2" / "model.onnx")
    monkeypatch.setattr(loaded, "RETRY_SECONDS", 0)
    assert asked(client, "/predict?version=2")[0] == 200
    assert states(client) == {("iris", "4"): "ready", ("iris", "2"): "ready"}


@pytest.mark.parametrize(("most", "kept"), [(2, ["3"]), (3, ["1", "3"])])
def test_the_least_recently_used_versions_go_when_memory_is_short(
    serve: Any, versions: Packed, loads: Loads, monkeypatch: pytest.MonkeyPatch, most: int, kept: list[str]
) -> None:
    monkeypatch.setattr(memory, "anonymous", lambda: 0)  # then a version costs what its file holds
    size = (versions.directory / "model.onnx").stat().st_size
    client = serve(versions, model_name="iris", model_memory_bytes=most * size)
    for path in ("/predict?version=1", "/models/other/predict", "/predict?version=1", "/predict?version=3"):
        assert asked(client, path)[0] == 200
    assert states(client) == {("iris", "4"): "ready"} | {("iris", version): "ready" for version in kept}
    ready = [line for line in client.get("/metrics").text.splitlines() if line.startswith("model_ready{")]
    assert sum(float(line.rpartition(" ")[2]) for line in ready) == 1 + len(kept)
    assert asked(client, "/predict")[1]["model_version"] == "4"


def test_a_version_that_memory_has_no_room_for_is_refused_and_nothing_goes_for_it(
    serve: Any, versions: Packed, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "anonymous", lambda: 0)
    size = (versions.directory / "model.onnx").stat().st_size
    client = serve(versions, model_name="iris", model_memory_bytes=2 * size - 1)
    status, body = asked(client, "/predict?version=1")
    assert (status, body["error"]) == (503, "model_not_ready")
    assert f"takes {size} bytes of memory, and the budget of {2 * size - 1}" in body["message"]
    assert asked(client, "/predict")[1]["model_version"] == "4"
    assert states(client) == {("iris", "4"): "ready", ("iris", "1"): "failed"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/predict?version=9", "iris version 9 is not served here; it has version 1, 2, 3, 4"),
        ("/models/iris/versions/09/predict", "iris version 09 is not served here; it has version 1, 2, 3, 4"),
        ("/models/nothing/predict", "nothing is not served here; iris is"),
        ("/models/%2e%2e/predict", ".. is not served here; iris is"),
        ("/models/iris/versions/..%2f1/predict", None),
    ],
)
def test_what_is_not_served_is_said_so(serve: Any, versions: Packed, path: str, message: str | None) -> None:
    status, body = asked(serve(versions, model_name="iris"), path)
    assert (status, set(body)) == (404, {"error", "message", "detail"})
    assert message in {None, body["message"]}
