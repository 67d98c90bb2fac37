"""What is left in the status: readable, and enough to go on from."""

import json

import pytest
from pydantic import ValidationError
from support.rollout import resource, started

from model_operator.rollout import RolloutState


def test_the_status_shows_versions_weights_counts_and_figures() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    world.turn()
    shown = dict(world.status)
    assert RolloutState.of({"memory": shown.pop("memory")}) == world.state
    assert shown == {
        "stage": "Stepping",
        "step": 0,
        "since": "2026-01-01T00:00:10+00:00",
        "reason": "",
        "message": "step 1 of 3: 10 % of the traffic",
        "stable": "1",
        "candidate": "2",
        "command": "",
        "ignored": "",
        "versions": [
            {"version": "1", "weight": 90, "answers": 180, "failed": 0, "refused": 0, "copies": 0},
            {"version": "2", "weight": 10, "answers": 20, "failed": 0, "refused": 0, "copies": 0},
        ],
        "analysis": [
            {"name": "errorRate", "value": 0.0, "limit": 0.01},
            {"name": "errorRateIncrease", "value": 0.0},
            {"name": "invalidRateIncrease", "value": 0.0},
            {"name": "p95Seconds", "value": 0.008698},
            {"name": "p95Ratio", "value": 0.915613},
        ],
    }


def test_whatever_way_it_is_merged_nothing_of_before_is_left() -> None:
    world = started()
    for version in ("2", "3"):
        world.spec = resource(version)
        world.until("Promoted")
        world.turn()
        assert world.status == world.decisions[-1].state.dump()


def test_the_beginning_is_nothing() -> None:
    assert RolloutState.of(None) == RolloutState.of({}) == RolloutState()


def test_a_memory_that_is_not_ours_is_refused_not_forgotten() -> None:
    with pytest.raises(ValidationError):
        RolloutState.of({"memory": json.dumps({"stage": "Elsewhere"})})


def test_what_a_later_operator_remembered_does_not_stop_this_one() -> None:
    assert RolloutState.of({"memory": json.dumps({"stage": "Idle", "invented": 1})}) == RolloutState()


def test_the_memory_of_a_hundred_pods_fits_into_an_object() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 10**9})
    world.replicas = 100
    world.until("Stepping")
    for pod in world.pods:
        for version in ("1", "2"):
            for bound in range(30):
                pod.count(version, f"latency/0.{bound:04}", 10**6)
    world.turn()
    assert len(world.status["memory"]) < 200_000
