"""`decide`: one turn of a rollout. Pure and total: it depends on nothing but what it is given, and always answers."""

from datetime import datetime

from model_operator.rollout.apart import arranged
from model_operator.rollout.commands import obey
from model_operator.rollout.counting import counted
from model_operator.rollout.moves import Move, adopt, began, refresh, stay, withdraw
from model_operator.rollout.spec import RolloutSpec
from model_operator.rollout.stages import STAGES, Turn
from model_operator.rollout.state import ACTIVE, Decision, Event, Observation, RolloutState, Stage
from model_operator.rollout.traffic import behind, models, renewed

BUSY_SECONDS = 2.0
"""Between two looks while something is going on: a crossed limit must be acted on within 10 s."""
CALM_SECONDS = 30.0


def decide(spec: RolloutSpec, state: RolloutState, seen: Observation, now: datetime) -> Decision:
    """Take one look and say what is to be done.

    At most one move is made a turn, the first that applies of: the target changed, a command came, the stage is over.
    Whoever carries the decision out stores the state first: then a turn that was not carried out to its end is carried
    out again, with the same document, by the next one.

    Args:
        spec: what is asked for.
        state: what the last decision said.
        seen: what there is.
        now: with a time zone.

    Returns:
        The state to store, the document that must be in force, and when to look again.
    """
    state = _looked(state, seen)
    events: tuple[Event, ...] = ()
    for move in (_aimed, _obeyed, _progressed):
        after = move(spec, state, seen, now)
        events += after.events
        moved = after.state.stage != state.stage or after.state.since != state.since
        state = after.state
        if moved:
            break
    state = arranged(spec, state, seen, now)
    document = renewed(models(spec, state), state, seen)
    state = state.model_copy(update={"traffic": document})
    late = behind(state, seen) if spec.rollout else ()
    requeue = BUSY_SECONDS if state.stage in ACTIVE or state.apart or late else CALM_SECONDS
    return Decision(state=state, traffic=document, behind=late, events=events, requeue_seconds=requeue)


def _looked(state: RolloutState, seen: Observation) -> RolloutState:
    """Remember what pods counted, and that one was ready with the stable revision."""
    proven = state.proven or any(pod.rendered == state.fingerprint for pod in seen.common)
    state = state.model_copy(update={"proven": proven})
    return counted(state, seen) if state.stage in ACTIVE else state.model_copy(update={"seen": {}})


def _aimed(spec: RolloutSpec, state: RolloutState, seen: Observation, now: datetime) -> Move:
    """Follow the target."""
    del seen
    image = state.candidate.service_image if state.candidate else None
    state = refresh(spec, state)
    target, stable, candidate = spec.model.identity, state.stable, state.candidate
    if stable and target == stable.identity:
        return _stable_again(spec, state, now)
    if stable is None or spec.rollout is None or not state.proven:
        return adopt(spec, state, now)
    if candidate and target == candidate.identity and image in (None, spec.model.service_image):
        return stay(state)
    if state.apart and state.stage is Stage.PROMOTED and state.elapsed(now) <= spec.rollout.prepare_seconds:
        return stay(state)  # the first Deployment is still taking the image
    return began(spec, state, now)


def _stable_again(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    if state.candidate:
        return withdraw(state, now)
    if spec.rollout is None and len(state.rendered) > 1:
        return adopt(spec, state, now)
    return stay(state)


def _obeyed(spec: RolloutSpec, state: RolloutState, seen: Observation, now: datetime) -> Move:
    return obey(spec, state, seen.command, now)


def _progressed(spec: RolloutSpec, state: RolloutState, seen: Observation, now: datetime) -> Move:
    stage = STAGES.get(state.stage)
    if stage is None or spec.rollout is None:
        return stay(state)
    return stage(Turn(spec, spec.rollout, state, seen, now))
