"""A candidate whose image is not the stable version's: pods of its own behind the same Service, and the way back."""

import json
from itertools import product
from typing import Any

import pytest
from support.rollout import KILLS, World, resource, started

from model_operator.rollout import Route, Stage
from model_operator.rollout.apart import pods_for

OTHER = "other"


def finish_first_step(world: World) -> None:
    """Go on with traffic until the second step, whose pods nobody has made yet."""
    for _ in range(60):
        if world.state.step:
            return
        world.turn()
        world.serve()
    raise AssertionError(f"{world.state.phase}: {world.state.message}")


def started_apart(replicas: int = 2, **fields: Any) -> World:
    """Version 1 serves, and version 2 has pods of its own and the first step's share."""
    world = started(**fields)
    world.replicas = replicas
    world.roll()
    world.spec = resource("2", image=OTHER, **fields)
    world.until("Stepping")
    return world


def with_a_failed_start() -> World:
    """A world whose candidate has pods of its own, which cannot load it."""
    world = started()
    world.spec = resource("2", image=OTHER)
    world.turn()
    world.failure = "LoadFailed: trained with scikit-learn 1.8"
    world.turn()
    return world


def versions_behind_service(world: World) -> set[str]:
    return {version for pod in world.behind_service for version in pod.versions}


def test_it_is_prepared_in_pods_of_its_own_without_traffic() -> None:
    world = started()
    before = [pod.uid for pod in world.pods]
    world.spec = resource("2", image=OTHER)
    world.turn()
    world.roll()
    assert world.state.stage is Stage.PREPARING
    assert world.state.message == "version 2 needs another image than 1: it gets pods of its own"
    assert [pod.uid for pod in world.common] == before
    assert versions_behind_service(world) == {"1"}
    assert world.weights == {"1": 100}


def test_shares_are_numbers_of_pods_and_the_stable_one_keeps_its_own() -> None:
    world = started_apart(replicas=4)
    seen = []
    while world.state.stage is Stage.STEPPING:
        world.turn()
        world.roll()
        world.serve()
        own = sum(pod.apart for pod in world.pods)
        entry = (world.state.step, own, world.route.value, world.weights.get("2", 0))
        seen += [entry] if entry not in seen else []
        assert len(world.common) == 4
    assert (0, 1, "both", 20) in seen  # 10 % asked for, one pod of five
    assert (1, 4, "both", 50) in seen
    assert (2, 4, "candidate", 100) in seen


@pytest.mark.parametrize(
    ("weight", "stable", "pods"),
    [(1, 10, 1), (10, 10, 1), (20, 10, 3), (33, 10, 5), (50, 3, 3), (75, 3, 3), (100, 3, 3), (50, 0, 1), (10, 1, 1)],
)
def test_the_nearest_number_of_pods(weight: int, stable: int, pods: int) -> None:
    assert pods_for(weight, stable) == pods


def test_promoted_the_first_deployment_takes_the_image_and_then_the_second_one_goes() -> None:
    world = started_apart()
    world.until("Promoted")
    assert world.state.stable is not None
    assert (world.state.stable.version, world.state.stable.service_image) == ("2", {"tag": OTHER})
    assert world.route is Route.CANDIDATE  # nobody of version 1 answers while its pods are replaced
    assert [revision.version for revision in world.rendered] == ["2"]
    world.roll()
    world.turn()
    world.roll()
    assert (world.state.apart, world.route) == (None, Route.STABLE)
    assert [pod.versions for pod in world.pods] == [{"2"}, {"2"}]
    assert [pod.document["models"]["churn"]["default"] for pod in world.pods] == ["2", "2"]


def test_a_command_promotes_once_enough_pods_have_all_of_the_traffic() -> None:
    world = started_apart(replicas=3)
    world.command = "promote@1"
    world.turn()
    assert world.state.stage is Stage.PROMOTING
    assert world.route is Route.BOTH
    world.until("Promoted")
    assert sum(pod.apart for pod in world.pods) == 3
    assert world.route is Route.CANDIDATE


def test_takeover_can_be_held_and_ends_when_pods_never_come() -> None:
    world = started_apart(replicas=3, prepareSeconds=30)
    world.command = "promote@1"
    world.turn()
    world.command = "pause@2"
    world.turn(40)
    assert world.state.phase == "Paused"
    world.command = "resume@3"
    world.turn()
    world.turn(31)
    assert (world.state.stage, world.state.reason) == (Stage.ABORTED, "NotPrepared")
    assert world.state.message.endswith("1 of 3 pods of its own are ready")


@pytest.mark.parametrize("wait", ["Stepping", "Promoting"])
def test_an_abort_leads_everything_back_at_once(wait: str) -> None:
    world = started_apart()
    world.command = "promote@1" if wait == "Promoting" else None
    world.turn()
    assert world.state.stage == wait
    before = [pod.uid for pod in world.common]
    world.command = "abort@2"
    world.turn()
    assert world.route is Route.STABLE
    assert world.weights == {"1": 100}
    world.roll()
    assert [pod.uid for pod in world.pods] == before


def test_a_bad_candidate_is_aborted_by_its_own_counters() -> None:
    world = started_apart()
    turns = world.until("Aborted", failing=frozenset({"2"}))
    assert turns <= 2
    assert world.state.reason == "ErrorRate"
    assert versions_behind_service(world) == {"1"}


def test_a_step_waits_for_its_pods() -> None:
    world = started_apart(replicas=4)
    finish_first_step(world)
    for _ in range(10):  # nobody makes the pods of the second step
        world.turn()
        world.serve()
    assert (world.state.stage, world.state.step) == (Stage.STEPPING, 1)
    world.until("Promoted")


def test_a_step_lasts_its_time_from_when_its_pods_are_there() -> None:
    world = started_apart(replicas=4)
    finish_first_step(world)
    world.turn(30)
    world.roll()
    for _ in range(3):  # seen, and watched for 4 s
        assert (world.state.stage, world.state.step) == (Stage.STEPPING, 1)
        world.turn()
        world.serve()
    world.turn()
    assert world.state.step == 2


def test_pods_that_never_come_end_a_step() -> None:
    world = started_apart(replicas=4)
    finish_first_step(world)
    world.turn(65)
    assert (world.state.stage, world.state.reason) == (Stage.ABORTED, "NotEnoughRequests")
    assert world.state.message.startswith("1 of 4 pods of its own are ready")


def test_pods_that_cannot_start_abort_it() -> None:
    world = with_a_failed_start()
    assert (world.state.stage, world.state.reason) == (Stage.ABORTED, "CannotStart")
    assert world.state.apart is None


def test_a_shadow_cannot_be_had() -> None:
    world = started()
    world.spec = resource("2", image=OTHER, shadow={"seconds": 0})
    world.turn()
    assert (world.state.stage, world.state.reason) == (Stage.ABORTED, "Inseparable")
    assert "leave spec.shadow out" in world.state.message
    world.spec = resource("2", image=OTHER)
    world.command = "resume@1"
    world.until("Promoted")


def test_another_image_of_the_same_candidate_begins_anew() -> None:
    world = started_apart()
    first = world.state.own_fingerprint
    world.spec = resource("2", image="third")
    world.turn()
    assert (world.state.stage, world.route) == (Stage.PREPARING, Route.STABLE)
    assert world.state.own_fingerprint != first
    world.spec = resource("2")
    world.turn()
    assert world.state.apart is None  # it fits into the stable version's pods now
    world.until("Promoted")
    assert [revision.version for revision in world.rendered] == ["1", "2"]


def test_an_image_that_did_not_start_is_corrected() -> None:
    world = with_a_failed_start()
    world.failure = None
    world.spec = resource("2", image="third")
    world.until("Promoted")


def test_a_candidate_that_the_stable_image_cannot_load_begins_anew_with_its_own() -> None:
    world = started()
    world.broken = {"2"}
    world.spec = resource("2")
    world.until("Aborted")
    assert world.state.reason == "NotLoaded"
    world.spec = resource("2", image=OTHER)
    world.until("Promoted")
    assert world.state.stable is not None
    assert world.state.stable.service_image == {"tag": OTHER}


def test_another_image_of_the_stable_version_is_a_rolling_update() -> None:
    world = started()
    world.spec = resource("1", image=OTHER)
    decision = world.turn()
    assert decision.state.stable is not None
    assert decision.state.stable.service_image == {"tag": OTHER}
    assert (decision.state.stage, decision.state.apart) == (Stage.IDLE, None)


def test_back_to_the_stable_version_ends_it() -> None:
    world = started_apart()
    world.spec = resource("1")
    world.turn()
    assert (world.state.stage, world.state.apart, world.route) == (Stage.IDLE, None, Route.STABLE)


def test_one_rollout_after_the_other_waits_for_the_first_deployment() -> None:
    world = started_apart()
    world.until("Promoted")
    world.spec = resource("3", image="third")
    world.turn()
    assert world.state.stage is Stage.PROMOTED
    world.until("Preparing")
    assert world.state.stable is not None
    assert world.state.stable.version == "2"
    world.until("Promoted")


def test_a_first_deployment_that_never_takes_the_image_does_not_stop_the_next_rollout() -> None:
    world = started_apart(replicas=1, prepareSeconds=30)
    while world.state.stage is not Stage.PROMOTED:
        world.turn()
        world.serve()
    world.spec = resource("1", prepareSeconds=30)
    world.turn(29)
    assert world.state.stage is Stage.PROMOTED
    world.turn(2)
    assert world.state.stage is Stage.PREPARING


def test_without_a_rollout_it_is_a_rolling_update() -> None:
    world = started_apart()
    del world.spec["rollout"]
    world.turn()
    assert (world.state.apart, world.route) == (None, Route.STABLE)
    assert [revision.version for revision in world.rendered] == ["2"]


def test_the_pods_to_go_back_to_are_remembered() -> None:
    world = started_apart(replicas=4)
    while world.route is not Route.CANDIDATE:
        world.turn()
        world.roll()
        world.serve()
    world.replicas = 1  # an autoscaler that sees no requests
    world.turn()
    assert world.state.apart is not None
    assert (world.state.apart.least, world.state.apart.replicas) == (4, 4)


def test_what_an_earlier_release_remembered_is_of_the_same_image() -> None:
    world = started(image=OTHER)
    world.spec = resource("2", image=OTHER)
    world.until("Stepping")
    memory = json.loads(world.status["memory"])
    for revision in (memory["stable"], memory["candidate"], *memory["rendered"]):
        del revision["serviceImage"]
    del memory["apart"]
    world.status["memory"] = json.dumps(memory)
    before = world.fingerprint
    world.turn()
    assert (world.state.stage, world.state.apart, world.fingerprint) == (Stage.STEPPING, None, before)
    world.until("Promoted")


@pytest.mark.parametrize("failing", [frozenset(), frozenset({"2"})], ids=["good", "bad"])
def test_an_operator_killed_anywhere_ends_where_one_that_lives_does(failing: frozenset[str]) -> None:
    def run(kill_at: int | None, where: str | None) -> tuple[tuple[Any, ...], int]:
        world = started()
        world.spec = resource("2", image=OTHER)
        turns = 0
        while world.state.phase not in {"Promoted", "Aborted"} or world.state.apart:
            world.turn(kill=where if turns == kill_at else None)
            world.roll()
            world.serve(failing=failing)
            turns += 1
            assert turns < 60
        world.turn()
        world.roll()
        images = {str(pod.rendered[0].service_image) for pod in world.pods}
        return (world.state.phase, world.weights, world.route, images, len(world.pods)), turns

    expected, turns = run(None, None)
    assert expected[1] == ({"1": 100} if failing else {"2": 100})
    assert expected[2:] == (Route.STABLE, {"{}" if failing else f"{{'tag': '{OTHER}'}}"}, 2)
    for kill_at, where in product(range(turns), KILLS):
        assert run(kill_at, where)[0] == expected, (kill_at, where)
