"""From what was seen to what is to be done: versions and traffic, values, objects. Pure but for the render."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_operator.cluster import Object
from model_operator.desired import Held, NotOurs, apart_name, apart_values, chart_values, merged, owned
from model_operator.gathering import Seen
from model_operator.kinds import DEPLOYMENT, GROUP, OF_PODS, SERVICE
from model_operator.problems import Problem, Reason
from model_operator.render import Chart, ValuesRefused, digest_of
from model_operator.rollout import RolloutState
from model_operator.routing import selector

ADOPT = f"{GROUP}/chart"
"""Annotation of the resource: the version of the chart that its pods may be restarted for."""


@dataclass(frozen=True)
class Plan:
    """What is to be applied; nothing where the chart refuses, or where pods would restart unasked."""

    models: Sequence[Mapping[str, Any]]
    """The chart's `model` values of what the pods hold, those of a second Deployment last."""
    objects: Sequence[Object] = ()
    chart: Mapping[str, Any] = field(default_factory=dict)
    """For the status: what the objects were rendered from."""
    problems: Sequence[Problem] = ()
    outdated: str = ""


def plan(seen: Seen, state: RolloutState, chart: Chart, source: str | None) -> Plan:
    """Render what the resource asks for."""
    held = _held(seen.spec, state, source)
    apart = _held_apart(state)
    models = [*held.models, *(apart.models if apart else ())]
    before = seen.status.get("chart") or {}
    try:
        objects = _rendered(seen, state, chart, held, apart)
    except (ValuesRefused, NotOurs) as error:
        hint = "correct spec.values" if "values" in seen.spec else "correct spec"
        problem = Problem(Reason.INVALID_VALUES, f"the chart refuses the values: {error}; {hint}")
        return Plan(models, chart=before, problems=[problem])
    record = {
        "version": chart.version,
        "hash": chart.hash,
        "template": digest_of([item["spec"]["template"] for item in objects if item["kind"] == DEPLOYMENT.name]),
        "asked": digest_of([_without_replicas(seen.spec), models, source, *([apart.fingerprint] if apart else ())]),
    }
    if _would_restart(before, record) and seen.annotations.get(ADOPT) != chart.version:
        return Plan(models, chart=before, outdated=_why(before, record))
    return Plan(models, objects, record)


def _held(spec: Mapping[str, Any], state: RolloutState, source: str | None) -> Held:
    """What the pods hold: what the rollout says, or a mounted model, of which there is one."""
    fetched = [revision.values for revision in state.rendered] if "uri" in spec["model"] else []
    image = state.stable.service_image if state.stable else None
    return Held(fetched or [spec["model"]], image or {}, state.fingerprint, source)


def _held_apart(state: RolloutState) -> Held | None:
    """What those of a second Deployment hold, while there is one."""
    own = state.alone
    return Held([own.values], own.service_image or {}, state.own_fingerprint) if own else None


def _rendered(seen: Seen, state: RolloutState, chart: Chart, held: Held, apart: Held | None) -> list[Object]:
    """The objects of the chart and, of a second release of it, what belongs to the pods.

    Raises:
        ValuesRefused: by the chart.
        NotOurs: it renders what the operator does not apply.
    """
    namespace, name = seen.key
    values = chart_values(name, seen.spec, held)
    if state.apart is None or apart is None:
        return owned(chart.render(name, namespace, values), seen.resource)
    first = owned(chart.render(name, namespace, _with_room(values, state.apart.least or 0)), seen.resource)
    pods = next(item for item in first if item["kind"] == DEPLOYMENT.name)["spec"]["template"]["spec"]
    account = pods["serviceAccountName"]
    more = apart_values(name, seen.spec, apart, state.apart.replicas, account)
    second = [item for item in chart.render(apart_name(name), namespace, more) if item["kind"] in OF_PODS]
    leads_to = selector(seen, state)
    first = [_leading(item, leads_to) if item["kind"] == SERVICE.name else item for item in first]
    return first + owned(second, seen.resource)


def _with_room(values: Mapping[str, Any], least: int) -> dict[str, Any]:
    """While a candidate takes traffic off the pods, an autoscaler must leave enough of them to go back to."""
    scaling = values["autoscaling"]
    if not scaling["enabled"]:
        return dict(values)
    room = min(max(scaling["minReplicas"], least), scaling["maxReplicas"])
    return merged(values, {"autoscaling": {"minReplicas": room}})


def _leading(service: Object, selector: Mapping[str, str] | None) -> Object:
    return service | {"spec": service["spec"] | {"selector": dict(selector)}} if selector else service


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
