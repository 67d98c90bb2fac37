"""What people ask for by annotation."""

import pytest
from support.rollout import World, resource, started


def under_way() -> World:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    return world


def test_promote_skips_what_is_left() -> None:
    world = under_way()
    world.command = "promote:2@2026-01-01T00:00:00Z"
    world.turn()
    assert world.state.phase == "Promoted"
    assert world.state.traffic["models"]["churn"]["default"] == "2"


def test_abort_gives_all_traffic_back() -> None:
    world = under_way()
    world.command = "abort"
    world.turn()
    assert (world.state.phase, world.state.reason) == ("Aborted", "Requested")
    assert [pod.share("1") for pod in world.pods] == [100, 100]


def test_a_command_is_carried_out_once() -> None:
    world = under_way()
    world.command = "abort"
    world.turn()
    world.spec = resource("3")
    world.until("Stepping")
    assert world.reasons.count("Aborted") == 1


def test_pause_holds_a_step_and_resume_begins_its_wait_anew() -> None:
    world = under_way()
    world.command = "pause@1"
    world.turn()
    for _ in range(100):
        world.serve()
        world.turn()
    assert (world.state.phase, world.state.step) == ("Paused", 0)
    world.command = "resume@2"
    world.turn()
    world.turn()
    assert (world.state.phase, world.state.step) == ("Stepping", 0)
    world.turn()
    assert world.state.step == 1


def test_pause_holds_preparing_and_its_deadline() -> None:
    world = started()
    world.spec = resource("2", prepareSeconds=10)
    world.turn()
    world.command = "pause"
    for _ in range(20):
        world.turn()
        world.roll()
    assert world.state.phase == "Paused"
    world.command = "resume"
    world.turn()
    world.turn()
    assert world.state.phase == "Loading"


def test_resume_after_an_abort_begins_again() -> None:
    world = under_way()
    world.command = "abort"
    world.turn()
    world.command = "resume"
    world.turn()
    assert world.state.phase == "Preparing"
    world.until("Promoted")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("promote", "nothing to promote: Idle"),
        ("abort", "nothing to abort"),
        ("pause", "nothing to pause"),
        ("resume", "nothing to resume"),
        ("explode@7", "'explode' is none of promote, pause, resume, abort"),
        ("", None),
    ],
)
def test_what_makes_no_sense_is_told_once_and_changes_nothing(command: str, words: str | None) -> None:
    world = started()
    before = world.state.model_copy(update={"command": command})
    world.command = command
    world.turn()
    world.turn()
    assert world.state == before.model_copy(update={"ignored": world.state.ignored})
    assert (words is None) == (world.state.ignored == "")
    told = [event.message for event in world.events if event.reason == "CommandIgnored"]
    assert [words in message for message in told if words] == ([True] if words else [])


def test_a_command_for_another_candidate_is_not_carried_out() -> None:
    world = under_way()
    world.command = "promote:3"
    world.turn()
    assert world.state.phase == "Stepping"
    assert world.events[-1].message == "promote is for version 3, not for 2"


def test_promote_waits_for_no_pod_that_cannot_serve_it() -> None:
    world = started()
    world.spec = resource("2")
    world.turn()
    world.command = "promote"
    world.turn()
    assert world.state.phase == "Preparing"
    assert "once every pod has loaded it" in world.events[-1].message
