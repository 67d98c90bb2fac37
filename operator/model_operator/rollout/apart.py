"""A candidate whose pods need another image than the stable version's: it has a Deployment of its own for a while.

Weights cannot be given inside one server then. Both Deployments stand behind one Service, so shares are what numbers of
pods say; the stable one keeps its own number, so that it can take everything back at once. All of the traffic is exact:
the Service leads to the candidate's pods alone.
"""

from datetime import datetime

from model_operator.rollout.spec import RolloutSpec
from model_operator.rollout.state import Apart, Observation, RolloutState, Route, Stage
from model_operator.rollout.traffic import weight_of

ALL = 100


def arranged(spec: RolloutSpec, state: RolloutState, seen: Observation, now: datetime) -> RolloutState:
    """Say how many pods the candidate's Deployment has, and which pods get requests; end it when it has served."""
    if state.apart is None or _taken_over(state, seen):
        return state.model_copy(update={"apart": None})
    least = seen.replicas if state.apart.least is None else state.apart.least
    weight = _weight(spec, state)
    replicas = pods_for(weight, max(least, seen.replicas))
    ready = sum(pod.rendered == state.own_fingerprint for pod in seen.own)
    if state.stage is Stage.PREPARING:
        route, share = Route.STABLE, 0
    elif weight == ALL and ready >= replicas:
        route, share = Route.CANDIDATE, ALL
    else:
        route, share = Route.BOTH, round(ALL * ready / max(1, ready + len(seen.common)))
    complete = (state.apart.complete or now) if ready >= replicas else None
    apart = Apart(replicas=replicas, route=route, share=share, complete=complete, least=least)
    return state.model_copy(update={"apart": apart})


def pods_for(weight: int, stable: int) -> int:
    """Pods of the candidate that come nearest to a share beside so many stable ones: at least one, at most as many."""
    most = max(1, stable)
    if weight >= ALL / 2:
        return most
    return max(1, min(most, int(stable * weight / (ALL - weight) + 0.5)))


def _weight(spec: RolloutSpec, state: RolloutState) -> int:
    """What the candidate should have now, or is prepared for."""
    if spec.rollout is None or state.stage in {Stage.PROMOTING, Stage.PROMOTED}:
        return ALL
    return weight_of(spec.rollout, state.step)


def _taken_over(state: RolloutState, seen: Observation) -> bool:
    """Whether the promoted version is in every pod of the first Deployment."""
    have = [pod for pod in seen.common if pod.rendered == state.fingerprint]
    return state.stage is Stage.PROMOTED and len(have) == len(seen.common) >= seen.replicas
