"""Documents that win: over what somebody else wrote, and over the turn that was cut off."""

from support.rollout import resource, started

FOREIGN = {"generation": 40, "models": {"churn": {"default": "1", "pinned": ["1"], "weights": {"1": 100}}}}


def test_a_pod_with_a_later_document_of_somebody_else_gets_ours_again() -> None:
    world = started()
    world.pods[0].document = FOREIGN
    world.turn()
    assert [pod.document["generation"] for pod in world.pods] == [41, 41]
    assert world.turn().behind == ()


def test_a_pod_that_holds_another_document_of_our_generation_gets_the_next_one() -> None:
    world = started()
    ours = world.state.traffic["generation"]
    world.pods[0].document = FOREIGN | {"generation": ours}
    world.refused = {world.pods[0].uid: "another document of generation 1 is in force"}
    world.turn()
    assert [pod.document["generation"] for pod in world.pods] == [ours + 1, ours + 1]


def test_a_config_map_that_somebody_else_wrote_is_written_over() -> None:
    world = started()
    world.document = FOREIGN
    world.turn()
    assert world.document["generation"] == 41
    assert world.turn().traffic == world.document


def test_a_config_map_that_lags_behind_needs_no_new_generation() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    world.document = FOREIGN | {"generation": 1}
    generation = world.state.traffic["generation"]
    assert world.turn().traffic["generation"] == generation


def test_without_name_and_version_the_pods_keep_their_own_default() -> None:
    world = started()
    world.status = {}
    world.spec = {"model": {"uri": "gs://models/churn/1"}}
    decision = world.turn()
    assert (decision.traffic["models"], decision.behind) == ({}, ())
    assert decision.state.rendered[0].values == {"uri": "gs://models/churn/1"}
