"""What is asked for, and what becomes of a rollout when that changes."""

import pytest
from support.rollout import World, model, resource, started


def test_the_stable_version_is_always_the_last_promoted_one() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Aborted", failing=frozenset("2"))
    assert world.weights == {"1": 100}
    world.spec = resource("3")
    world.until("Promoted", turns=100)
    assert world.weights == {"3": 100}
    world.spec = resource("4")
    world.until("Stepping")
    assert world.weights == {"3": 90, "4": 10}
    world.until("Aborted", failing=frozenset("4"))
    assert world.weights == {"3": 100}


def test_another_candidate_takes_the_place_of_the_one_under_way() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    world.spec = resource("3")
    world.turn()
    assert world.weights == {"1": 100}
    assert [revision.version for revision in world.state.rendered] == ["1", "3"]
    assert "Superseded" in world.reasons
    world.until("Promoted")
    assert world.weights == {"3": 100}


def test_going_back_to_the_stable_version_ends_a_rollout_at_once() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    template = world.fingerprint
    world.spec = resource("1")
    world.turn()
    assert (world.state.phase, world.weights, world.fingerprint) == ("Idle", {"1": 100}, template)
    world.until("Idle")


def test_going_back_to_the_version_before_needs_no_new_pods() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Promoted")
    pods = {pod.uid for pod in world.pods}
    world.spec = resource("1")
    world.turn()
    assert world.state.phase == "Preparing"
    world.until("Promoted")
    assert world.weights == {"1": 100}
    assert {pod.uid for pod in world.pods} == pods


def test_a_repaired_candidate_under_the_same_version_is_another_one() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Aborted", failing=frozenset("2"))
    world.spec = resource("2", content="x")
    world.turn()
    assert world.state.phase == "Preparing"
    world.turn()
    assert world.state.phase == "Preparing", "pods that have the old content are not prepared"
    world.until("Promoted")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (model("1", content="x"), "give it another"),
        (model("2") | {"name": "fraud"}, "a resource of its own"),
        (model("2") | {"version": ""}, "spec.model.version"),
    ],
)
def test_what_cannot_share_the_traffic_is_refused_not_rolled_out(target: dict[str, str], words: str) -> None:
    world = started()
    template = world.fingerprint
    world.spec = resource() | {"model": target}
    world.turn()
    assert (world.state.reason, world.fingerprint) == ("Inseparable", template)
    assert words in world.state.message
    world.turn()
    assert world.reasons.count("Aborted") == 1


def test_a_first_version_that_never_came_up_is_replaced_without_steps() -> None:
    world = World(resource("1"))
    world.turn()
    world.spec = resource("2")
    world.turn()
    assert world.state.stable is not None
    assert (world.state.phase, world.state.stable.version) == ("Idle", "2")
    assert [revision.version for revision in world.state.rendered] == ["2"]


def test_without_a_rollout_a_new_model_is_a_plain_rolling_update() -> None:
    world = started()
    plain = resource("2")
    del plain["rollout"]
    world.spec = plain
    decision = world.turn()
    assert world.state.phase == "Idle"
    assert [revision.version for revision in world.state.rendered] == ["2"]
    assert (decision.traffic["models"], decision.behind) == ({}, ())


def test_without_the_rollout_that_promoted_it_the_stable_version_stays() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Promoted")
    del world.spec["rollout"]
    decision = world.turn()
    assert decision.traffic["models"]["churn"]["default"] == "2"
    assert [revision.version for revision in world.state.rendered] == ["2"]


def test_the_same_content_under_another_address_is_no_candidate() -> None:
    world = started()
    world.spec = resource("1")
    world.spec["model"]["uri"] = "gs://elsewhere/churn/1"
    world.turn()
    assert world.state.phase == "Idle"
    assert world.state.rendered[0].uri == "gs://elsewhere/churn/1"
