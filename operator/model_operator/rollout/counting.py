"""Adds up what pods counted since a stage or step began, whatever pods come, go or restart in between."""

from collections.abc import Mapping

from model_operator.rollout.counts import NOTHING, Counts, growth, total
from model_operator.rollout.state import Observation, Pod, RolloutState


def counted(state: RolloutState, seen: Observation) -> RolloutState:
    """Take what each pod counted since it was last seen, of the stable and the candidate version.

    A pod that was not seen before counts from its beginning when it started after the stage or step did; otherwise it
    was unreachable until now, and what it counted belongs to nobody knows which step. A pod that is gone leaves what it
    had counted.
    """
    versions = [revision.version for revision in (state.stable, state.candidate) if revision]
    grown = [_grown(state, pod, versions) for pod in seen.pods if pod.counts]
    return state.model_copy(
        update={
            "counts": {
                version: total([state.counts.get(version, NOTHING), *(part.get(version, NOTHING) for part in grown)])
                for version in versions
            },
            "seen": {pod.uid: _shown(state, pod, versions) for pod in seen.pods},
        }
    )


def _grown(state: RolloutState, pod: Pod, versions: list[str]) -> Mapping[str, Counts]:
    before = state.seen.get(pod.uid)
    if before is None and state.since and pod.started <= state.since:
        return {}
    return {
        version: growth((before or {}).get(version, NOTHING), pod.counts.get(version, NOTHING)) for version in versions
    }


def _shown(state: RolloutState, pod: Pod, versions: list[str]) -> Mapping[str, Counts]:
    """The counters to hold the next look against; those of the last look when the pod did not answer now."""
    if not pod.counts:
        return state.seen.get(pod.uid, {})
    return {
        version: {name: count for name, count in pod.counts.get(version, NOTHING).items() if count}
        for version in versions
    }
