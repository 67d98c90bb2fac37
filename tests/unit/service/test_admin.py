"""The admin API of one worker: who may command, what is answered, and that nothing half done stays."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import Packed, onnx_bytes
from support.service import wait_for

from model_service import coordination, loading, memory
from model_service.admin.check import check
from model_service.app import Place, create_app
from model_service.board import Board
from model_service.errors import SettingsInvalid
from model_service.settings import Settings
from model_service.telemetry.series import SharedSeries
from model_service.traffic.document import ModelTraffic, Traffic
from model_service.traffic.orders import Desired
from model_service.traffic.source import TrafficFile

TOKEN = "0123456789abcdef" * 4
BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def versions(write_bundle: Callable[..., Packed], iris: Any) -> Packed:
    """Versions 1 to 3 of iris, of which the third is damaged."""
    packed = [write_bundle({"onnx": onnx_bytes(iris, 4)}, version=str(number)) for number in (1, 2, 3)]
    (packed[2].directory / "model.onnx").write_bytes(b"damaged")
    return packed[0]


class Both:
    """A client of either port."""

    def __init__(self, app: Any) -> None:
        self.public = TestClient(app)
        self.admin = TestClient(app.state.admin, headers={"authorization": f"Bearer {TOKEN}"})

    def put(self, generation: int, **models: Any) -> tuple[int, Any]:
        answer = self.admin.put("/admin/traffic", json={"generation": generation, "models": models})
        return answer.status_code, answer.json()

    def command(self, version: str, command: str) -> tuple[int, Any]:
        answer = self.admin.post(f"/admin/models/iris/versions/{version}/{command}")
        return answer.status_code, answer.json()

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["version"]: row for row in self.admin.get("/admin/models").json()["models"]}


@pytest.fixture
def both(versions: Packed, token: Path) -> Iterator[Callable[..., Both]]:
    clients: list[TestClient] = []

    def start(**settings: Any) -> Both:
        admin = {"port": 1, "token_file": token}
        app = create_app(Settings(model_root=versions.root, model_version="1", admin=admin, **settings))
        client = Both(app)
        client.public.__enter__()
        clients.append(client.public)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


def test_a_row_tells_everything_about_a_version(both: Any) -> None:
    server = both()
    default = server.rows()["1"]
    assert default | {"digest": "", "bytes": 0, "last_used": None} == {
        "name": "iris", "version": "1", "digest": "", "state": "ready", "reason": None, "bytes": 0, "default": True,
        "pinned": False, "weight": 100, "shadow": 0, "last_used": None,
    }  # fmt: skip
    assert default["digest"].startswith("sha256:")
    assert default["bytes"] > 0
    assert server.rows()["2"]["state"] == "available"
    weights = {"default": "1", "weights": {"1": 75, "2": 25}, "shadow": {"version": "2", "percent": 7}, "pinned": ["2"]}
    assert server.put(4, iris=weights)[0] == 200
    assert server.rows()["1"] | default == server.rows()["1"] | {"weight": 100} | default
    two = server.rows()["2"]
    assert (two["state"], two["default"], two["pinned"], two["weight"], two["shadow"]) == ("ready", False, True, 25, 7)
    overview = server.admin.get("/admin/models").json()
    assert (overview["generation"], overview["budget_bytes"]) == (4, 0)
    assert overview["used_bytes"] == default["bytes"] + two["bytes"]


def test_loading_and_unloading(both: Any) -> None:
    server = both()
    assert server.command("2", "load")[1]["state"] == "ready"
    assert server.command("2", "load")[0] == 200
    assert server.command("2", "unload")[1]["state"] == "available"
    assert server.command("2", "unload")[0] == 200
    for version, command, status, code in (
        ("3", "load", 422, "model_unservable"), ("9", "load", 404, "model_not_found"),
        ("9", "unload", 404, "model_not_found"), ("1", "unload", 409, "conflict"),
    ):  # fmt: skip
        found, body = server.command(version, command)
        assert (found, body["error"]) == (status, code)
    assert server.rows()["3"]["state"] == "failed"
    assert "model.onnx" in server.rows()["3"]["reason"]


def test_a_refused_document_leaves_nothing_loaded(both: Any) -> None:
    server = both()
    for document in ({"default": "2", "pinned": ["3"]}, {"default": "2", "pinned": ["9"]}):
        status, body = server.put(1, iris=document)
        assert (status, body["error"]) == (409, "conflict")
        server.command("1", "load")  # by then everybody has seen that it was taken back
        assert server.rows()["2"]["state"] == "available"
    assert server.public.post("/predict", json=BODY).json()["model_version"] == "1"
    assert server.admin.get("/admin/traffic").json() == {"generation": 0, "models": {}}


def test_memory_that_traffic_needs_is_not_given_to_others(
    both: Any, monkeypatch: pytest.MonkeyPatch, versions: Any
) -> None:
    monkeypatch.setattr(memory, "anonymous", lambda: 0)
    size = (versions.directory / "model.onnx").stat().st_size
    server = both(model_memory_bytes=2 * size - 1)
    for status, body in (server.command("2", "load"), server.put(1, iris={"default": "1", "pinned": ["2"]})):
        assert (status, body["error"]) == (409, "conflict")
        assert "MODELPORT_MODEL_MEMORY_BYTES" in body["message"]
    assert server.public.post("/predict", json=BODY).status_code == 200


def test_a_promotion_changes_what_is_documented(both: Any, write_bundle: Callable[..., Packed], iris: Any) -> None:
    server = both()
    assert "openapi" in server.public.get("/openapi.json").json()
    assert server.put(1, iris={"default": "2"})[0] == 200
    assert server.public.get("/health").json()["models"][0]["version"] == "2"
    assert server.public.get("/models/iris/openapi.json").json()["info"]["title"] == "iris version 2"
    answer = server.public.post("/models/iris/predict", json=BODY)
    assert (answer.json()["model_version"], answer.headers["x-model-variant"]) == ("2", "default")
    assert server.put(2)[0] == 200  # without a document for it the model is as configured
    answer = server.public.post("/predict", json=BODY)
    assert (answer.json()["model_version"], answer.headers.get("x-model-variant")) == ("1", None)


def test_what_is_in_force_and_cannot_be_is_tried_again(
    both: Any, versions: Packed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(coordination, "RETRY_SECONDS", 0.01)
    server = both()
    orders = server.public.app.state.board.orders
    hidden = versions.root / "hidden"
    (versions.root / "iris" / "2").rename(hidden)
    orders.enact(Desired(Traffic(1, {"iris": ModelTraffic("2")})), orders.propose(None))
    wait_for(lambda: caplog.text.count("it is tried again") > 1, lambda: caplog.text)
    assert server.public.post("/predict", json=BODY).json()["model_version"] == "1"
    hidden.rename(versions.root / "iris" / "2")
    wait_for(lambda: server.admin.get("/admin/traffic").json()["generation"] == 1, lambda: caplog.text)
    assert server.public.post("/predict", json=BODY).json()["model_version"] == "2"


def test_a_fault_of_the_server_is_told_without_its_text(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = both()

    def fail(*_: Any) -> Any:
        raise RuntimeError("canary")

    monkeypatch.setattr(loading, "load_named", fail)
    status, body = server.command("2", "load")
    assert (status, body["error"]) == (409, "conflict")
    assert "RuntimeError" in body["message"]
    assert "canary" not in body["message"]
    assert server.public.post("/predict", json=BODY).status_code == 200


def test_versions_loaded_by_command_are_loaded_again_by_a_worker_that_starts(versions: Packed, token: Path) -> None:
    board = Board(1)
    shared = board, SharedSeries(len(board.slots)), SharedSeries(1)
    board.orders.enact(Desired(loaded=(("iris", "2"), ("iris", "3"))), board.orders.propose(None))
    settings = Settings(model_root=versions.root, model_version="1", admin={"port": 1, "token_file": token})
    app = create_app(settings, Place(*shared, board.claim()))
    with TestClient(app) as client:
        states = {model["version"]: model["state"] for model in client.get("/health").json()["models"]}
    assert states == {"1": "ready", "2": "ready", "3": "failed"}


@pytest.mark.parametrize("body", ["", "[]", "{", '{"generation": 1, "more": 2}', '{"generation": 1.5}'])
def test_what_is_no_document_is_a_422(both: Any, body: str) -> None:
    answer = both().admin.put("/admin/traffic", content=body)
    assert answer.status_code == (200 if not body else 422)


def test_only_who_has_the_token_commands_and_each_command_is_noted(both: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = both()
    for headers in ({"authorization": "Bearer wrong"}, {"authorization": ""}):
        assert server.admin.get("/admin/models", headers=headers).status_code == 401
    assert TestClient(server.admin.app).get("/health").status_code == 200
    server.command("2", "load")
    noted = [record.getMessage() for record in caplog.records if record.name == "model_service.audit"]
    assert noted[-1] == "POST /admin/models/iris/versions/2/load: done"
    assert noted[0] == "GET /admin/models: refused"
    assert TOKEN not in caplog.text


def test_an_admin_port_that_nobody_guards_is_refused(token: Path, tmp_path: Path) -> None:
    check(Settings())
    check(Settings(admin={"port": 8081, "token_file": token}))
    with pytest.raises(SettingsInvalid, match="MODELPORT_ADMIN__TOKEN_FILE"):
        check(Settings(admin={"port": 8081}))
    with pytest.raises(SettingsInvalid, match="other than MODELPORT_API_PORT"):
        check(Settings(admin={"port": 8000, "token_file": token}))
    short = tmp_path / "short"
    short.write_text("secret")
    with pytest.raises(SettingsInvalid, match="random token"):
        check(Settings(admin={"port": 8081, "token_file": short}))


@pytest.mark.anyio
async def test_a_file_is_proposed_once_for_each_content(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    proposed = []

    async def propose(traffic: Any) -> None:
        proposed.append(traffic.generation)
        if traffic.generation == 3:
            raise RuntimeError("canary")

    path = tmp_path / "traffic.json"
    file = TrafficFile(path, lambda: True, propose)
    await file.look()
    for text in (1, 1, "no document", 2, 3):
        path.write_text(text if isinstance(text, str) else json.dumps({"generation": text}))
        await file.look()
    assert proposed == [1, 2, 3]
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "does not take effect" in text] == [told[0]]
    assert "could not be tried" in told[-1]
