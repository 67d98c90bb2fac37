"""Readiness is told by the board, liveness by nothing but the process."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import Packed

from model_service.app import Place, create_app
from model_service.board import Board, State
from model_service.settings import Settings
from model_service.telemetry.series import SharedSeries


def test_ready_names_the_model_and_its_digest(client: TestClient, iris_bundle: Packed) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    model = {"name": "iris", "version": "1", "digest": iris_bundle.digest, "state": "ready", "reason": None}
    assert response.json() == {"status": "ok", "model_loaded": True, "models": [model]}


def test_before_the_model_is_loaded_nothing_but_liveness_is_green(iris_bundle: Packed) -> None:
    client = TestClient(create_app(Settings(model_root=iris_bundle.root)))  # its lifespan has not run
    health = client.get("/health")
    assert (health.status_code, health.json()["status"], health.json()["model_loaded"]) == (503, "loading", False)
    assert health.headers["retry-after"] == "1"
    predict = client.post("/predict", json={"features": [1, 1, 1, 1]})
    assert (predict.status_code, predict.json()["error"]) == (503, "model_not_ready")
    assert predict.headers["retry-after"] == "1"
    assert client.get("/health/live").status_code == 200


def place(board: Board, slot: int) -> Place:
    return Place(board, SharedSeries(len(board.slots)), SharedSeries(1), slot)


def test_one_ready_worker_of_two_is_not_ready_until_the_other_is(iris_bundle: Packed) -> None:
    board = Board(2)
    first, second = board.claim(), board.claim()
    with TestClient(create_app(Settings(model_root=iris_bundle.root), place(board, first))) as client:
        assert client.get("/health").json()["status"] == "loading"
        board.write(second, State.READY)
        assert client.get("/health").status_code == 200
        board.release(second)  # it died: the rest serve on while it respawns
        assert client.get("/health").status_code == 200


def test_draining_is_not_ready_and_asks_clients_to_leave(iris_bundle: Packed) -> None:
    board = Board(1)
    slot = board.claim()
    with TestClient(create_app(Settings(model_root=iris_bundle.root), place(board, slot))) as client:
        assert "connection" not in client.get("/health").headers
        board.write(slot, State.DRAINING)
        response = client.get("/health")
        assert (response.status_code, response.json()["status"]) == (503, "draining")
        answer = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_a_failed_worker_makes_the_board_failed_and_keeps_its_reason() -> None:
    board = Board(2)
    slot = board.claim()
    board.claim()
    assert board.failure() is None
    board.write(slot, State.FAILED, "no such model: " + "x" * 9000 + "\udcff")
    board.release(slot)
    assert board.overall() is State.FAILED
    reason = board.failure()
    assert reason is not None
    assert reason.startswith("no such model: xxx")


def test_slots_of_ended_workers_are_taken_again() -> None:
    board = Board(1)
    slot = board.claim()
    others = {board.claim() for _ in range(10)}
    assert slot not in others
    board.release(slot)
    assert board.claim() == slot


def test_a_board_that_is_full_says_so() -> None:
    board = Board(1)
    with pytest.raises(RuntimeError, match="no slot"):
        [board.claim() for _ in range(1000)]


def test_documentation_before_the_model_is_loaded_is_a_clear_503(iris_bundle: Packed) -> None:
    client = TestClient(create_app(Settings(model_root=iris_bundle.root)))
    response: Any = client.get("/openapi.json")
    assert (response.status_code, response.json()["error"]) == (503, "model_not_ready")
