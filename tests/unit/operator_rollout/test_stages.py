"""The way of a candidate through the stages."""

from support.rollout import World, resource, started

from model_operator.rollout import Stage


def test_the_first_version_is_stable_without_steps() -> None:
    world = started()
    assert world.state.phase == "Idle"
    assert world.reasons == ["Adopted"]
    assert world.document == {"generation": 1, "models": {"churn": {"default": "1", "pinned": ["1"]}}}


def test_a_good_candidate_goes_through_every_step_and_is_promoted() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Promoted")
    shown = [weight["2"] for weight in seen_weights(world)]
    assert shown == [10, 50, 100]
    assert world.weights == {"2": 100}
    assert world.state.stable is not None
    assert world.state.stable.version == "2"
    assert [pod.share("2") for pod in world.pods] == [100, 100]


def seen_weights(world: World) -> list[dict[str, int]]:
    """The weights that the candidate went through, each once."""
    found: list[dict[str, int]] = []
    for decision in world.decisions:
        entry = decision.traffic["models"]["churn"]
        if "weights" in entry and entry["weights"] not in found[-1:]:
            found.append(entry["weights"])
    return found


def test_weights_abort_and_promote_leave_the_pods_as_they_are() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Loading")
    world.roll()
    pods = {pod.uid for pod in world.pods}
    world.until("Aborted", failing=frozenset("2"))
    assert {pod.uid for pod in world.pods} == pods
    world.command = "resume@1"
    world.turn()
    world.until("Promoted")
    assert {pod.uid for pod in world.pods} == pods


def test_a_candidate_that_pods_cannot_load_is_aborted_with_their_reason() -> None:
    world = started()
    world.broken = {"2"}
    world.spec = resource("2")
    world.until("Aborted")
    assert world.state.reason == "NotLoaded"
    assert "cannot be served" in world.state.message
    assert all(pod.share("1") == 100 for pod in world.pods)


def test_a_candidate_whose_pods_cannot_start_is_taken_back() -> None:
    world = started()
    template = world.fingerprint
    world.spec = resource("2")
    world.turn()
    assert world.fingerprint != template
    world.failure = "not found: gs://models/churn/2"
    world.turn()
    assert (world.state.reason, world.fingerprint) == ("CannotStart", template)


def test_preparing_and_loading_end_by_themselves() -> None:
    world = started()
    world.spec = resource("2", prepareSeconds=20)
    for _ in range(12):
        world.turn()
    assert (world.state.reason, world.state.message) == ("NotPrepared", "after 22 s 0 of 2 pods are ready with it")
    world.command = "resume"
    world.turn()
    world.roll()
    world.pods[0].reachable = False
    for _ in range(13):
        world.turn()
    assert world.state.reason == "NotLoaded"
    assert "pod-" in world.state.message


def test_a_manual_step_waits_for_approval_and_is_still_watched() -> None:
    steps = [{"weight": 10, "pauseSeconds": 0, "manual": True}, {"weight": 50, "pauseSeconds": 0}]
    world = started()
    world.spec = resource("2", steps=steps)
    world.until("Paused")
    for _ in range(50):
        world.turn()
    assert world.state.phase == "Paused"
    world.command = "resume@1"
    world.turn()
    assert (world.state.phase, world.weights) == ("Stepping", {"1": 50, "2": 50})


def test_a_paused_step_is_aborted_when_it_turns_bad() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    world.command = "pause"
    world.turn()
    assert world.state.phase == "Paused"
    world.serve(failing=frozenset("2"))
    world.turn()
    assert world.state.phase == "Aborted"


def test_a_shadow_comes_first_where_asked_for() -> None:
    world = started()
    world.spec = resource("2", shadow={"percent": 50, "seconds": 4, "minRequests": 20, "maxDisagreement": 0.1})
    world.until("Shadowing", requests=0)
    assert world.state.traffic["models"]["churn"]["shadow"] == {"version": "2", "percent": 50}
    world.pods[0].count("2", "shadow/ok", 19)
    for _ in range(5):
        world.turn()
    assert world.state.stage is Stage.SHADOWING
    world.pods[1].count("2", "shadow/ok", 1)
    world.turn()
    assert (world.state.stage, world.weights) == (Stage.STEPPING, {"1": 90, "2": 10})


def test_a_step_that_was_taken_out_of_the_spec_is_passed_as_the_last_one() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    while world.state.step < 2:
        world.turn()
        world.serve()
    world.spec = resource("2", steps=[{"weight": 30, "pauseSeconds": 0}])
    world.turn()
    assert world.state.phase == "Promoted"


def test_sticky_is_part_of_the_document_while_traffic_is_shared() -> None:
    world = started(sticky={"header": "X-User-Id"})
    world.spec = resource("2", sticky={"header": "X-User-Id"})
    world.until("Stepping")
    assert world.state.traffic["models"]["churn"]["sticky"] == {"header": "X-User-Id"}
    world.until("Promoted")
    assert "sticky" not in world.state.traffic["models"]["churn"]
