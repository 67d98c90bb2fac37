"""The conditions, each from what a turn may see."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from model_operator.conditions import View, conditions
from model_operator.pods import Failure, Pod
from model_operator.problems import Problem, Reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
OLD = Pod("old", "u0", "10.0.0.1", "", "1-a", "", ready=True, fetched=True, failure=None)
NEW = Pod("new", "u1", "10.0.0.2", "", "2-b", "", ready=True, fetched=True, failure=None)
STARTING = replace(NEW, ready=False, fetched=False)
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1},
}
GOOD = View(
    wanted=1, pods=[NEW], target="2-b", serving="2-b", deployment=DEPLOYMENT, fetches=True, problems=[]
)  # fmt: skip


def told(view: View) -> dict[str, tuple[str, str, str]]:
    found = conditions(view, [], 4, NOW)
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


def deployment(**condition: str) -> dict[str, Any]:
    return DEPLOYMENT | {"status": {"observedGeneration": 1, "conditions": [condition]}}


def test_all_is_well() -> None:
    assert {kind: verdict[:2] for kind, verdict in told(GOOD).items()} == {
        "Fetched": ("True", "Fetched"),
        "Loaded": ("True", "Proven"),
        "Available": ("True", "Serving"),
        "Progressing": ("False", "Complete"),
        "Degraded": ("False", "AsExpected"),
        "Unsupported": ("False", "AllHonoured"),
        "ChartOutdated": ("False", "Current"),
        "SeparateDeployments": ("False", "OneDeployment"),
    }


@pytest.mark.parametrize(
    ("view", "kind", "verdict"),
    [
        (replace(GOOD, fetches=False), "Fetched", ("True", "Mounted")),
        (replace(GOOD, pods=[OLD, STARTING]), "Fetched", ("Unknown", "Fetching")),
        (replace(GOOD, pods=[OLD, STARTING]), "Loaded", ("Unknown", "Loading")),
        (replace(GOOD, pods=[OLD, STARTING]), "Available", ("True", "Serving")),
        (replace(GOOD, pods=[OLD, STARTING]), "Progressing", ("True", "RollingUpdate")),
        (replace(GOOD, pods=[], wanted=0), "Fetched", ("Unknown", "ScaledToZero")),
        (replace(GOOD, pods=[], wanted=0), "Loaded", ("Unknown", "ScaledToZero")),
        (replace(GOOD, pods=[], wanted=0), "Available", ("False", "ScaledToZero")),
        (replace(GOOD, pods=[], wanted=0), "Progressing", ("False", "Complete")),
        (replace(GOOD, pods=[STARTING]), "Available", ("False", "NoReadyPod")),
        (replace(GOOD, deployment=None, pods=[], wanted=None), "Progressing", ("True", "RollingUpdate")),
        (replace(GOOD, stage="Stepping"), "Progressing", ("True", "Stepping")),
        (replace(GOOD, stage="Aborted", stage_message="too slow"), "Degraded", ("True", "RolloutAborted")),
        (replace(GOOD, outdated="chart 2"), "ChartOutdated", ("True", "PodsWouldRestart")),
        (replace(GOOD, problems=[Problem(Reason.MISSING_API, "no KEDA")]), "Unsupported", ("True", "MissingAPI")),
        (replace(GOOD, problems=[Problem(Reason.NAME_TAKEN, "taken")]), "Degraded", ("True", "NameTaken")),
    ],
)
def test_each_state_has_its_verdict(view: View, kind: str, verdict: tuple[str, str]) -> None:
    assert told(view)[kind][:2] == verdict


@pytest.mark.parametrize(("part", "kind"), [("fetch", "Fetched"), ("service", "Loaded")])
def test_a_pod_that_fails_says_why_and_what_serves_meanwhile(part: str, kind: str) -> None:
    failing = replace(STARTING, failure=Failure(part, "NotFound", "gs://a holds no model"))
    found = told(replace(GOOD, pods=[OLD, failing], serving="1-a"))
    assert found[kind] == ("False", "NotFound", "gs://a holds no model")
    assert found["Degraded"] == ("True", "NotFound", "gs://a holds no model (revision 1-a serves)")


def test_pods_of_another_revision_are_no_reason() -> None:
    leftover = replace(OLD, ready=False, failure=Failure("service", "Crashed", "gone"))
    assert told(replace(GOOD, pods=[leftover, NEW]))["Degraded"][0] == "False"


def test_nothing_serves() -> None:
    view = replace(GOOD, pods=[], serving="", problems=[Problem(Reason.INVALID_VALUES, "no such value")])
    assert told(view)["Degraded"][2] == "no such value (nothing serves)"


def test_what_the_deployment_says() -> None:
    late = deployment(type="Progressing", status="False", reason="ProgressDeadlineExceeded", message="timed out")
    assert told(replace(GOOD, deployment=late))["Progressing"][1] == "ProgressDeadlineExceeded"
    assert told(replace(GOOD, deployment=late))["Degraded"][1] == "ProgressDeadlineExceeded"
    refused = deployment(type="ReplicaFailure", status="True", reason="FailedCreate", message="exceeded quota")
    assert told(replace(GOOD, deployment=refused))["Degraded"][2].startswith("exceeded quota")


def test_a_change_that_the_deployment_has_not_seen_is_under_way() -> None:
    behind = DEPLOYMENT | {"metadata": {"generation": 2}}
    assert told(replace(GOOD, deployment=behind))["Progressing"][0] == "True"


def test_the_time_is_that_of_the_turning() -> None:
    first = conditions(GOOD, [], 1, NOW)
    second = conditions(replace(GOOD, pods=[STARTING]), first, 2, LATER)
    turned = {each["type"]: each["lastTransitionTime"] for each in second}
    assert turned["Available"] == "2026-01-02T00:00:00Z"
    assert turned["Degraded"] == "2026-01-01T00:00:00Z"
    assert {each["observedGeneration"] for each in second} == {2}
