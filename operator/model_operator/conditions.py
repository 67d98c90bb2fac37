"""The conditions of a ModelDeployment, each by a function of its own, from what one turn has seen. Pure.

`Degraded` is what to look at: its reason is whatever is not as it should be; its message says what serves meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_operator.pods import Failure, Pod
from model_operator.problems import Problem, Reason

Verdict = tuple[str, str, str]
"""Status, reason, message."""
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
MESSAGE_LIMIT = 2048


@dataclass(frozen=True)
class View:
    """What the conditions are about."""

    wanted: int | None
    """Pods that there should be; None before the Deployment is there."""
    pods: Sequence[Pod]
    target: str
    """Revision that spec asks for, as pods carry it."""
    serving: str
    deployment: Mapping[str, Any] | None
    fetches: bool
    """Whether an init container fetches the model."""
    problems: Sequence[Problem]
    stage: str = ""
    """Of the rollout; empty where there is none."""
    stage_message: str = ""
    stage_reason: str = ""
    outdated: str = ""
    """Why the objects are still those of another chart."""
    apart: str = ""
    """What is to be known about a candidate with a Deployment of its own; empty where there is one Deployment."""

    @property
    def ours(self) -> list[Pod]:
        """Pods of the target revision."""
        return [pod for pod in self.pods if pod.revision == self.target]

    @property
    def failure(self) -> Failure | None:
        """The first thing that stops a pod of the target revision."""
        return next((pod.failure for pod in self.ours if pod.failure), None)

    @property
    def settled(self) -> bool:
        """Every pod is of the target revision, and ready."""
        current = self.deployment is not None and _observed(self.deployment)
        return current and len(self.ours) == len(self.pods) == self.wanted and all(pod.ready for pod in self.pods)


ACTIVE_STAGES = {"Preparing", "Loading", "Shadowing", "Stepping", "Promoting", "Paused"}


def conditions(view: View, before: Sequence[Mapping[str, Any]], generation: int, now: datetime) -> list[dict[str, Any]]:
    """All of them, in their order."""
    old = {found["type"]: found for found in before}
    return [_condition(kind, judge(view), old.get(kind, {}), generation, now) for kind, judge in CONDITIONS.items()]


def stopped(
    problem: Problem, before: Sequence[Mapping[str, Any]], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Those of a resource for which nothing can be done: Degraded, and the others as they were."""
    past: Mapping[str, Any] = next((found for found in before if found["type"] == "Degraded"), {})
    degraded = _condition("Degraded", (TRUE, problem.reason, problem.message), past, generation, now)
    return [*(dict(found) for found in before if found["type"] != "Degraded"), degraded]


def _condition(kind: str, verdict: Verdict, past: Mapping[str, Any], generation: int, now: datetime) -> dict[str, Any]:
    """As the status has it; the time of one that has not turned stays."""
    status, reason, message = verdict
    when = past["lastTransitionTime"] if past.get("status") == status else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"type": kind, "status": status, "reason": reason, "message": message[:MESSAGE_LIMIT]}
    return told | {"lastTransitionTime": when, "observedGeneration": generation}


def _fetched(view: View) -> Verdict:
    failure = view.failure
    if failure is not None and failure.part == "fetch":
        return FALSE, failure.reason, failure.message
    if any(pod.fetched for pod in view.ours):
        return TRUE, "Fetched" if view.fetches else "Mounted", "the model is in the pods"
    return UNKNOWN, *_nothing_yet(view, "Fetching", "the model is being fetched and verified")


def _loaded(view: View) -> Verdict:
    failure = view.failure
    if failure is not None and failure.part == "service":
        return FALSE, failure.reason, failure.message
    if any(pod.ready for pod in view.ours):
        return TRUE, "Proven", "every worker of a ready pod answers the golden rows right"
    return UNKNOWN, *_nothing_yet(view, "Loading", "no pod of the target revision is ready yet")


def _nothing_yet(view: View, reason: str, message: str) -> tuple[str, str]:
    return ("ScaledToZero", "no pods are wanted") if view.wanted == 0 else (reason, message)


def _available(view: View) -> Verdict:
    ready = sum(pod.ready for pod in view.pods)
    if ready:
        return TRUE, "Serving", f"{ready} of {view.wanted} pods are ready; revision {view.serving} serves"
    if view.wanted == 0:
        return FALSE, "ScaledToZero", "no pods are wanted"
    return FALSE, "NoReadyPod", "no pod is ready"


def _progressing(view: View) -> Verdict:
    if view.stage in ACTIVE_STAGES:
        return TRUE, view.stage, view.stage_message or f"the rollout is in stage {view.stage}"
    progress = _of_deployment(view.deployment, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return FALSE, "ProgressDeadlineExceeded", progress.get("message", "")
    if view.settled:
        return FALSE, "Complete", f"every pod is of revision {view.target}"
    return (
        TRUE,
        "RollingUpdate",
        f"{sum(pod.ready for pod in view.ours)} of {view.wanted or 0} pods of {view.target} are ready",
    )


def _degraded(view: View) -> Verdict:
    serves = f"revision {view.serving} serves" if view.serving else "nothing serves"
    for problem in view.problems:
        return TRUE, problem.reason, f"{problem.message} ({serves})"
    if view.failure is not None:
        return TRUE, view.failure.reason, f"{view.failure.message} ({serves})"
    refused = _of_deployment(view.deployment, "ReplicaFailure")
    if refused.get("status") == TRUE:
        return TRUE, refused.get("reason", "FailedCreate"), f"{refused.get('message', '')} ({serves})"
    if view.stage == "Aborted":
        return TRUE, view.stage_reason or "RolloutAborted", f"{view.stage_message} ({serves})"
    if _of_deployment(view.deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return TRUE, "ProgressDeadlineExceeded", f"the pods of {view.target} did not become ready in time ({serves})"
    return FALSE, "AsExpected", "nothing is wrong"


def _unsupported(view: View) -> Verdict:
    missing = [problem.message for problem in view.problems if problem.reason == Reason.MISSING_API]
    if missing:
        return TRUE, Reason.MISSING_API, "; ".join(missing)
    return FALSE, "AllHonoured", "every field of spec has its effect"


def _outdated(view: View) -> Verdict:
    if view.outdated:
        return TRUE, "PodsWouldRestart", view.outdated
    return FALSE, "Current", "the objects are those of the operator's own chart"


def _separate(view: View) -> Verdict:
    if view.apart:
        return TRUE, "ImagesDiffer", view.apart
    return FALSE, "OneDeployment", "every version runs in the same pods"


def _of_deployment(deployment: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    found = (deployment or {}).get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def _observed(deployment: Mapping[str, Any]) -> bool:
    seen = deployment.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= deployment["metadata"]["generation"])


CONDITIONS: dict[str, Callable[[View], Verdict]] = {
    "Fetched": _fetched,
    "Loaded": _loaded,
    "Available": _available,
    "Progressing": _progressing,
    "Degraded": _degraded,
    "Unsupported": _unsupported,
    "ChartOutdated": _outdated,
    "SeparateDeployments": _separate,
}
