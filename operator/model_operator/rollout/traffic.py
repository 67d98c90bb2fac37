"""The traffic document that a state of a rollout asks for, and its generation."""

from collections.abc import Mapping
from typing import Any

from model_operator.rollout.spec import Rollout, RolloutSpec
from model_operator.rollout.state import Document, Observation, RolloutState, Stage

CANDIDATE_LOADED = frozenset({Stage.LOADING, Stage.SHADOWING, Stage.STEPPING})


def models(spec: RolloutSpec, state: RolloutState) -> Mapping[str, Any]:
    """The document's `models`: whole percents that sum to 100, the default being the stable version."""
    stable = state.stable
    if stable is None or not stable.version or not stable.name:
        return {}
    entry: dict[str, Any] = {"default": stable.version, "pinned": [stable.version]}
    if spec.rollout is None:  # pods know their version; a document of earlier rollouts stays while it is about this one
        earlier = state.traffic["models"].get(stable.name, {})
        return {stable.name: entry} if earlier.get("default") == stable.version else {}
    if state.candidate and state.stage in CANDIDATE_LOADED and not state.apart:
        entry["pinned"] = [stable.version, state.candidate.version]
        entry |= _share(spec, spec.rollout, state, stable.version, state.candidate.version)
    return {stable.name: entry}


def _share(spec: RolloutSpec, rollout: Rollout, state: RolloutState, stable: str, candidate: str) -> dict[str, Any]:
    """What the candidate gets."""
    if state.stage is Stage.SHADOWING and spec.shadow:
        return {"shadow": {"version": candidate, "percent": spec.shadow.percent}}
    if state.stage is not Stage.STEPPING:
        return {}
    weight = weight_of(rollout, state.step)
    weights = {stable: 100 - weight, candidate: weight}
    share: dict[str, Any] = {"weights": {version: percent for version, percent in weights.items() if percent}}
    return share | ({"sticky": {"header": rollout.sticky.header}} if rollout.sticky else {})


def weight_of(rollout: Rollout, step: int) -> int:
    """The candidate's percent in a step; in the last one where the steps have become fewer, 0 where there are none."""
    return rollout.steps[min(step, len(rollout.steps) - 1)].weight if rollout.steps else 0


def renewed(wanted: Mapping[str, Any], state: RolloutState, seen: Observation) -> Document:
    """The document with `wanted` models: the one that is in force, or the next generation.

    Somebody else may have written a document or put one to a pod: ours must be above it to win. A pod with our
    generation that refused our document holds another one.
    """
    ours = state.traffic["generation"]
    foreign = [pod.generation for pod in seen.common if pod.generation > ours]
    foreign += [pod.generation for pod in seen.common if pod.generation == ours and pod.name in seen.refused]
    if seen.document and seen.document != state.traffic and seen.document["generation"] >= ours:
        foreign.append(seen.document["generation"])
    if wanted == state.traffic["models"] and not foreign:
        return state.traffic
    return {"generation": max([ours, *foreign]) + 1, "models": wanted}


def behind(state: RolloutState, seen: Observation) -> tuple[str, ...]:
    """Names of the pods in which the document is not in force; those that an image is to be taken from never get it."""
    pods = (pod for pod in seen.common if not state.apart or pod.rendered == state.fingerprint)
    return tuple(pod.name for pod in pods if pod.generation < state.traffic["generation"])
