"""What holds whatever happens: targets, commands, restarts, pods that go, operators that are killed."""

from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.rollout import KILLS, World, resource, started

from model_operator.rollout import Decision, Route, Stage

VERSIONS = st.sampled_from(["1", "2", "3"])
WITH_CANDIDATE = {Stage.SHADOWING, Stage.STEPPING}


def share(decision: Decision, version: str) -> int:
    """Percent of the traffic in a decision's document."""
    entry = decision.traffic["models"]["churn"]
    return int(entry.get("weights", {entry["default"]: 100}).get(version, 0))


class Rollouts(RuleBasedStateMachine):
    """Everything that can happen to a rollout, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = started()
        self.commands = 0

    @rule(kill=st.sampled_from([None, None, *KILLS]), seconds=st.floats(-5, 40))
    def turn(self, kill: str | None, seconds: float) -> None:
        self.world.turn(seconds, kill)

    @rule(
        version=VERSIONS,
        content=st.sampled_from(["", "x"]),
        shadow=st.sampled_from([None, {"minRequests": 5}]),
        image=st.sampled_from(["", "", "other", "third"]),
    )
    def target(self, version: str, content: str, shadow: dict[str, Any] | None, image: str) -> None:
        self.world.spec = resource(version, content, shadow=shadow, image=image)

    @rule(action=st.sampled_from(["promote", "pause", "resume", "abort", "nonsense"]))
    def command(self, action: str) -> None:
        self.commands += 1
        self.world.command = f"{action}@{self.commands}"

    @rule()
    def roll(self) -> None:
        self.world.roll()

    @rule(requests=st.integers(0, 500), failing=st.frozensets(VERSIONS))
    def serve(self, requests: int, failing: frozenset[str]) -> None:
        self.world.serve(requests, failing)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data(), what=st.sampled_from(["restart", "replace", "reachable"]))
    def disturb(self, data: st.DataObject, what: str) -> None:
        index = data.draw(st.integers(0, len(self.world.pods) - 1))
        if what == "reachable":
            self.world.pods[index].reachable ^= True
        else:
            getattr(self.world, what)(index)

    @rule(replicas=st.integers(0, 4))
    def scale(self, replicas: int) -> None:
        self.world.replicas = replicas

    @rule(broken=st.sets(VERSIONS.filter(lambda version: version != "1"), max_size=1), failure=st.booleans())
    def spoil(self, broken: set[str], failure: bool) -> None:
        self.world.broken = broken
        self.world.failure = "not found" if failure else None

    @rule(generation=st.integers(0, 40))
    def somebody_else_writes_the_document(self, generation: int) -> None:
        self.world.document = {"generation": generation, "models": {"churn": {"default": "1", "pinned": ["1"]}}}

    @invariant()
    def weights_sum_to_a_hundred(self) -> None:
        for decision in self.world.decisions[-1:]:
            entry = decision.traffic["models"]["churn"]
            assert sum(entry.get("weights", {"": 100}).values()) == 100
            assert entry["default"] in entry["pinned"]

    @invariant()
    def only_a_candidate_under_way_has_traffic(self) -> None:
        for decision in self.world.decisions[-1:]:
            state = decision.state
            assert state.stable is not None
            if state.stage is not Stage.STEPPING:
                assert share(decision, state.stable.version) == 100
            if state.candidate and state.stage not in WITH_CANDIDATE:
                assert "shadow" not in decision.traffic["models"]["churn"]

    @invariant()
    def the_stable_version_changes_by_promotion_alone(self) -> None:
        for before, after in pairwise(self.world.decisions[-2:]):
            was, now = before.state.stable, after.state.stable
            assert was is not None
            assert now is not None
            if now.identity != was.identity:
                assert after.state.stage is Stage.PROMOTED
                assert before.state.candidate is not None
                assert now.identity == before.state.candidate.identity

    @invariant()
    def no_step_is_skipped(self) -> None:
        for before, after in pairwise(self.world.decisions[-2:]):
            if after.state.stage is Stage.STEPPING:
                came = before.state.stage is Stage.STEPPING
                assert after.state.step in ({before.state.step, before.state.step + 1} if came else {0})

    @invariant()
    def pods_are_rendered_anew_for_a_candidate_alone(self) -> None:
        for before, after in pairwise(self.world.decisions[-2:]):
            if after.state.fingerprint != before.state.fingerprint:
                taken_back = before.state.stage is Stage.PREPARING
                taken_over = after.state.stage is Stage.PROMOTED and before.state.apart
                assert after.state.stage is Stage.PREPARING or taken_back or taken_over

    @invariant()
    def a_second_deployment_is_there_for_another_image_alone(self) -> None:
        for decision in self.world.decisions[-1:]:
            state = decision.state
            if state.apart and state.candidate and state.stable:
                assert state.candidate.service_image != state.stable.service_image
                assert state.stage in {Stage.PREPARING, Stage.STEPPING, Stage.PROMOTING}
                assert state.apart.replicas >= 1
            elif state.apart:
                assert state.stage is Stage.PROMOTED

    @invariant()
    def its_pods_get_requests_once_they_are_proven_alone(self) -> None:
        for decision in self.world.decisions[-1:]:
            apart = decision.state.apart
            if apart and decision.state.stage is Stage.PREPARING:
                assert (apart.route, apart.share) == (Route.STABLE, 0)
            if apart and apart.route is Route.CANDIDATE:
                assert decision.state.stage in {Stage.STEPPING, Stage.PROMOTING, Stage.PROMOTED}

    @invariant()
    def nothing_counts_backwards(self) -> None:
        for decision in self.world.decisions[-1:]:
            assert all(n >= 0 for counts in decision.state.counts.values() for n in counts.values())

    @invariant()
    def a_document_never_changes_without_its_generation(self) -> None:
        for before, after in pairwise(self.world.decisions[-2:]):
            assert after.traffic == before.traffic or after.traffic["generation"] > before.traffic["generation"]

    @invariant()
    def pods_of_the_rendering_can_serve_what_their_document_says(self) -> None:
        for decision, pod in product(self.world.decisions[-1:], self.world.pods):
            if pod.fingerprint == decision.state.fingerprint:
                assert set(decision.traffic["models"]["churn"]["pinned"]) <= pod.versions

    def teardown(self) -> None:
        """Left to itself, every rollout ends, and every pod has what it ended with."""
        world = self.world
        world.broken, world.failure, world.replicas = set(), None, max(1, world.replicas)
        for pod in world.pods:
            pod.reachable = True
        world.command = "resume@last" if world.state.paused else None
        world.turn()
        world.roll()
        world.until("Idle", "Promoted", "Aborted", turns=120, failing=frozenset())
        for _ in range(4):  # a second Deployment goes when the first one has its image
            world.turn()
            world.roll()
        stable = world.state.stable
        assert stable is not None
        assert world.document == world.state.traffic
        assert {pod.share(stable.version) for pod in world.pods} == {100}
        assert (world.state.apart, world.route) == (None, Route.STABLE)
        assert not any(pod.apart for pod in world.pods)


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def outcome(world: World) -> tuple[Any, ...]:
    """What a rollout ended with, the pods' side included."""
    stable = world.state.stable
    assert stable is not None
    return (
        world.state.phase,
        world.state.reason,
        stable.version,
        world.document == world.state.traffic,
        {pod.share(stable.version) for pod in world.pods},
    )


@pytest.mark.parametrize("failing", [frozenset(), frozenset({"2"})], ids=["good", "bad"])
def test_an_operator_killed_anywhere_ends_where_one_that_lives_does(failing: frozenset[str]) -> None:
    def run(kill_at: int | None, where: str | None) -> tuple[tuple[Any, ...], int]:
        world = started(shadow={"seconds": 0, "minRequests": 0})
        world.spec = resource("2", shadow={"seconds": 0, "minRequests": 0})
        turns = 0
        while world.state.phase not in {"Promoted", "Aborted"}:
            world.turn(kill=where if turns == kill_at else None)
            world.roll()
            world.serve(failing=failing)
            turns += 1
            assert turns < 60
        world.turn()
        return outcome(world), turns

    expected, turns = run(None, None)
    assert expected == (("Aborted", "ErrorRate", "1") if failing else ("Promoted", "", "2")) + (True, {100.0})
    for kill_at, where in product(range(turns), KILLS):
        assert run(kill_at, where)[0] == expected, (kill_at, where)
