"""The status of a ModelDeployment: what a person reads, and what the next turn goes on from. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_operator.conditions import View, conditions
from model_operator.desired import apart_name, revision
from model_operator.gathering import Seen
from model_operator.planning import Plan
from model_operator.problems import Problem
from model_operator.rollout import RolloutState, Stage
from model_operator.source import Source


@dataclass(frozen=True)
class Turn:
    """What a turn has seen, decided and could not do."""

    seen: Seen
    state: RolloutState
    plan: Plan
    source: Source | None
    problems: Sequence[Problem]
    served: Mapping[str, Any]
    """The model that a ready pod says it serves."""


def serving_revision(seen: Seen, state: RolloutState) -> str:
    """The revision that answers requests; empty where no pod is ready."""
    ready = Counter(pod.revision for pod in seen.ready)
    if not ready:
        return ""
    if "rollout" in seen.spec and state.stable is not None:
        return revision(state.stable.values)
    return ready.most_common(1)[0][0]


def serving_version(seen: Seen, state: RolloutState) -> str:
    """The version that answers requests which name none, where that is known: empty, the pods' only one."""
    return state.stable.version if "rollout" in seen.spec and state.stable is not None else ""


def view_of(turn: Turn) -> View:
    """What the conditions look at."""
    seen, state = turn.seen, turn.state
    rolling = "rollout" in seen.spec
    deployments = [item for item in (seen.deployment, seen.apart) if item]
    return View(
        wanted=sum(item["spec"].get("replicas", 1) for item in deployments) if seen.deployment else None,
        pods=seen.pods,
        target=revision(turn.plan.models[-1]),
        serving=serving_revision(seen, state),
        deployment=seen.deployment,
        fetches="uri" in seen.spec["model"],
        problems=turn.problems,
        stage=state.phase if rolling else "",
        stage_reason=state.reason if rolling else "",
        stage_message=state.message if rolling else "",
        outdated=turn.plan.outdated,
        apart=told_apart(seen, state),
    )


def status_of(turn: Turn, now: datetime) -> dict[str, Any]:
    """The whole status; null where a field is to go."""
    seen, view = turn.seen, view_of(turn)
    meta, deployment = seen.resource["metadata"], seen.deployment or {}
    ready = len(seen.ready)
    serving = dict(turn.served) if turn.served else {}
    return {
        "observedGeneration": meta["generation"],
        "conditions": conditions(view, seen.status.get("conditions", []), meta["generation"], now),
        "version": serving.get("version") or _stable_version(turn) or None,
        "digest": serving.get("digest") or _pinned_digest(turn, view) or None,
        "servingRevision": view.serving or None,
        "targetRevision": revision(seen.spec["model"]),
        "replicas": deployment.get("status", {}).get("replicas", 0),
        "readyReplicas": ready,
        "ready": f"{ready}/{view.wanted or 0}",
        "selector": _selector(deployment),
        "stage": view.stage or _plain_stage(view),
        "trafficSummary": _summary(turn.state) or None,
        "sources": [dict(model) for model in turn.plan.models],
        "chart": dict(turn.plan.chart) or None,
        "source": turn.source.dump() if turn.source else None,
        "rollout": turn.state.dump(),
    }


def _stable_version(turn: Turn) -> str:
    return turn.state.stable.version if turn.state.stable and turn.seen.ready else ""


def _pinned_digest(turn: Turn, view: View) -> str:
    """Where pods do not say: the pin, once it is what serves."""
    pins = {revision(model): str(model.get("digest", "")) for model in turn.plan.models}
    return pins.get(view.serving, "")


def _plain_stage(view: View) -> str:
    """Without a rollout: whether pods are being replaced."""
    if view.failure is not None:
        return "Failed"
    return "Serving" if view.settled and view.wanted else "Idle" if view.wanted == 0 else "Updating"


def _selector(deployment: Mapping[str, Any]) -> str | None:
    labels = deployment.get("spec", {}).get("selector", {}).get("matchLabels", {})
    return ",".join(f"{name}={text}" for name, text in sorted(labels.items())) or None


def _summary(state: RolloutState) -> str:
    """`1:90 2:10`, and what is shadowed."""
    parts = [f"{version}:{percent}" for version, percent in state.shares.items()]
    shadows = [entry.get("shadow") for entry in state.traffic["models"].values()]
    return " ".join(parts + [f"{shadow['version']}:shadow" for shadow in shadows if shadow])


def told_apart(seen: Seen, state: RolloutState) -> str:
    """Of a candidate with a Deployment of its own: where it is, what share it gets, and what cannot be had then."""
    own, apart = state.alone, state.apart
    if own is None or apart is None:
        return ""
    where = f"version {own.version} needs another image and runs in Deployment {apart_name(seen.key[1])}"
    if state.stage is Stage.PROMOTED:
        return f"{where} until every pod of Deployment {seen.key[1]} has that image"
    rollout = seen.spec["rollout"]
    step = rollout["steps"][min(state.step, len(rollout["steps"]) - 1)]
    asked = f", of {step['weight']} % asked for" if state.stage is Stage.STEPPING else ""
    sticky = "; rollout.sticky has no effect" if "sticky" in rollout else ""
    return f"{where}: {apart.share} % of the traffic{asked}, by numbers of pods{sticky}"
