"""From what was seen to what is to be done: versions and traffic, values, objects. Pure but for the render."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_operator.cluster import Object
from model_operator.desired import NotOurs, chart_values, owned
from model_operator.gathering import Seen
from model_operator.kinds import DEPLOYMENT, GROUP
from model_operator.problems import Problem, Reason
from model_operator.render import Chart, ValuesRefused, digest_of
from model_operator.rollout import RolloutState

ADOPT = f"{GROUP}/chart"
"""Annotation of the resource: the version of the chart that its pods may be restarted for."""


@dataclass(frozen=True)
class Plan:
    """What is to be applied; nothing where the chart refuses, or where pods would restart unasked."""

    models: Sequence[Mapping[str, Any]]
    """The chart's `model` values of what the pods hold."""
    objects: Sequence[Object] = ()
    chart: Mapping[str, Any] = field(default_factory=dict)
    """For the status: what the objects were rendered from."""
    problems: Sequence[Problem] = ()
    outdated: str = ""


def plan(seen: Seen, state: RolloutState, chart: Chart, source: str | None) -> Plan:
    """Render what the resource asks for."""
    models = held_models(seen.spec, state)
    before = seen.status.get("chart") or {}
    values = chart_values(seen.key[1], seen.spec, models, state.fingerprint, source)
    try:
        objects = owned(chart.render(seen.key[1], seen.key[0], values), seen.resource)
    except (ValuesRefused, NotOurs) as error:
        hint = "correct spec.values" if "values" in seen.spec else "correct spec"
        problem = Problem(Reason.INVALID_VALUES, f"the chart refuses the values: {error}; {hint}")
        return Plan(models, chart=before, problems=[problem])
    record = {
        "version": chart.version,
        "hash": chart.hash,
        "template": digest_of([item["spec"]["template"] for item in objects if item["kind"] == DEPLOYMENT.name]),
        "asked": digest_of([_without_replicas(seen.spec), models, source]),
    }
    if _would_restart(before, record) and seen.annotations.get(ADOPT) != chart.version:
        return Plan(models, chart=before, outdated=_why(before, record))
    return Plan(models, objects, record)


def held_models(spec: Mapping[str, Any], state: RolloutState) -> list[Mapping[str, Any]]:
    """What the pods hold: what the rollout says, or a mounted model, of which there is one."""
    if "uri" not in spec["model"]:
        return [spec["model"]]
    return [revision.values for revision in state.rendered] or [spec["model"]]


def _would_restart(before: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether only the chart has changed since, and pods with it."""
    same_wish = before.get("asked") == record["asked"]
    return same_wish and bool(before["hash"] != record["hash"] and before["template"] != record["template"])


def _without_replicas(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a person asked for: scaling is no reason to take another chart."""
    return {key: value for key, value in spec.items() if key != "replicas"}


def _why(before: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    old, new = before["version"], record["version"]
    return (
        f"rendered with chart {old}; chart {new} of this operator would restart the pods. They follow "
        f"with the next change of spec, or now: kubectl annotate md NAME {ADOPT}={new} --overwrite"
    )
