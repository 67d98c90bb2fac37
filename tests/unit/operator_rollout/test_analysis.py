"""What a candidate is judged by, and when it is stopped."""

from typing import Any

import pytest
from support.rollout import resource, started

from model_operator.rollout import Stage

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "errors": ({}, {"failing": frozenset("2")}, "ErrorRate"),
    "latency": ({"maxP95Seconds": 0.5}, {"slow": frozenset("2")}, "P95Seconds"),
    "latency against the stable version": ({"maxP95Ratio": 2.0}, {"slow": frozenset("2")}, "P95Ratio"),
}


@pytest.mark.parametrize(("limits", "served", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_candidate_is_aborted_in_the_turn_that_sees_it(
    limits: dict[str, Any], served: dict[str, Any], reason: str
) -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 10, **limits})
    world.until("Stepping", **served)
    decision = world.turn()
    assert (world.state.phase, world.state.reason) == ("Aborted", reason)
    assert decision.requeue_seconds <= 2
    assert [pod.share("1") for pod in world.pods] == [100, 100]
    assert "version 1 has all traffic" in world.events[-1].message


def test_one_slow_answer_of_few_is_chance_and_many_are_not() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 20, "maxP95Seconds": 0.2})
    world.until("Stepping", requests=0)
    for name, amount in {"answers/ok": 20, "latency/0.01": 18, "latency/0.1": 0, "latency/1": 2}.items():
        world.pods[0].count("2", name, amount)
    world.turn()
    assert world.state.stage is Stage.STEPPING
    for name, amount in {"answers/ok": 980, "latency/0.01": 882, "latency/1": 98}.items():
        world.pods[0].count("2", name, amount)
    world.turn()
    assert world.state.reason == "P95Seconds"


def test_scores_that_shift_against_the_baseline_abort() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 0, "maxScoreShift": 0.2})
    world.until("Stepping")
    for pod, shift in zip(world.pods, (0.3, 0.2), strict=True):
        pod.shifts["2"] = shift
    world.turn()
    assert world.state.reason == "ScoreShift"
    assert "0.25, more than 0.2" in world.state.message


def test_scores_unlike_the_stable_versions_abort() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 0, "maxScoreDifference": 0.25})
    world.until("Stepping")
    for bound, low, high in (("0.5", 250, 10), ("1", 10, 250)):
        world.pods[0].count("1", f"score/{bound}", low)
        world.pods[1].count("2", f"score/{bound}", high)
    world.turn()
    assert world.state.reason == "ScoreDifference"


def test_a_step_is_not_passed_before_every_limit_could_be_judged() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 10, "maxWaitSeconds": 60, "maxScoreDifference": 0.25})
    world.until("Stepping")
    for _ in range(10):
        world.serve()
        world.turn()
    assert (world.state.stage, world.state.step) == (Stage.STEPPING, 0)
    for version in ("1", "2"):
        world.pods[0].count(version, "score/0.5", 200)
        world.pods[0].count(version, "score/inf", 200)
    world.turn()
    assert world.state.step == 1
    world.until("Aborted")
    assert "too little is known to judge scoreDifference" in world.state.message


def test_without_traffic_for_the_stable_version_nothing_is_compared() -> None:
    world = started()
    limits = {"minRequests": 10, "maxScoreDifference": 0.25, "maxP95Ratio": 2.0, "maxErrorRateIncrease": 0.1}
    world.spec = resource("2", steps=[{"weight": 100, "pauseSeconds": 0}], analysis=limits)
    world.until("Promoted")


def test_an_error_of_the_stable_version_too_is_not_held_against_the_candidate() -> None:
    both = frozenset({"1", "2"})
    world = started()
    world.spec = resource("2", analysis={"minRequests": 10, "maxErrorRate": None, "maxErrorRateIncrease": 0.01})
    world.until("Promoted", failing=both)


def test_one_of_the_first_two_answers_is_not_half_of_them() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 50, "maxErrorRate": 0.1})
    world.until("Stepping", requests=0)
    world.pods[0].count("2", "answers/failed")
    world.pods[0].count("2", "answers/ok")
    world.turn()
    assert world.state.stage is Stage.STEPPING
    world.pods[0].count("2", "answers/failed", 5)
    world.turn()
    assert world.state.reason == "ErrorRate"


def test_a_step_without_requests_waits_and_is_aborted_in_the_end() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 10, "maxWaitSeconds": 30})
    world.until("Stepping", requests=0)
    for _ in range(17):
        world.turn()
        assert world.state.stage is Stage.STEPPING
    world.turn()
    assert world.state.reason == "NotEnoughRequests"
    assert "0 of 10 answers" in world.state.message


def test_pods_that_cannot_be_read_are_named_when_answers_are_missing() -> None:
    world = started()
    world.spec = resource("2", analysis={"maxWaitSeconds": 10})
    world.until("Stepping", requests=0)
    world.pods[0].reachable = False
    for _ in range(8):
        world.turn()
    assert "pod-3 was not read: it does not answer" in world.state.message


@pytest.mark.parametrize(("counter", "reason"), [("shadow/differs", "Disagreement"), ("shadow/failed", "ErrorRate")])
def test_a_shadow_that_answers_otherwise_or_fails_never_gets_traffic(counter: str, reason: str) -> None:
    world = started()
    world.spec = resource("2", shadow={"minRequests": 20, "maxDisagreement": 0.1})
    world.until("Shadowing", requests=0)
    world.pods[0].count("2", "shadow/ok", 20)
    world.pods[0].count("2", counter, 3)
    world.turn()
    assert world.state.reason == reason
    assert not any("weights" in decision.traffic["models"]["churn"] for decision in world.decisions)
