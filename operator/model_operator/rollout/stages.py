"""What happens in each stage while nobody asks for anything: one function a stage, in the table `STAGES`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from model_operator.rollout import criteria
from model_operator.rollout.moves import Move, abort, advance, noted, promote, stay
from model_operator.rollout.spec import Analysis, Rollout, RolloutSpec, Shadow
from model_operator.rollout.state import Observation, RolloutState, Route, Stage
from model_operator.rollout.traffic import behind, weight_of


class Turn(NamedTuple):
    """One look at a rollout that is under way."""

    spec: RolloutSpec
    rollout: Rollout
    state: RolloutState
    seen: Observation
    now: datetime

    @property
    def elapsed(self) -> float:
        """Seconds since the stage or step began."""
        return self.state.elapsed(self.now)

    @property
    def watched(self) -> float:
        """Seconds that the candidate has been answering its share: its own pods, where it has any, were all there."""
        apart = self.state.apart
        if apart is None:
            return self.elapsed
        return min(self.elapsed, (self.now - apart.complete).total_seconds()) if apart.complete else 0.0

    @property
    def late(self) -> bool:
        """Preparing or loading takes longer than it may."""
        return not self.state.paused and self.elapsed > self.rollout.prepare_seconds


def preparing(turn: Turn) -> Move:
    """Wait until every pod is rendered with the candidate, or enough pods of its own are."""
    state = turn.state
    pods = turn.seen.own if state.apart else turn.seen.common
    have = [pod for pod in pods if pod.rendered == state.awaited]
    wanted = state.apart.replicas if state.apart else max(1, turn.seen.replicas)
    if turn.seen.failure:
        return abort(state, turn.now, "CannotStart", turn.seen.failure)
    if len(have) == len(pods) >= wanted and not state.paused:
        if state.apart:  # a pod is ready when it has loaded and proven what it was made for
            return _step(turn, 0)
        return advance(state, Stage.LOADING, turn.now, "every pod has the candidate and loads it")
    if turn.late:
        why = f"after {turn.elapsed:.0f} s {len(have)} of {wanted} pods are ready with it"
        return abort(state, turn.now, "NotPrepared", why)
    return stay(state)


def loading(turn: Turn) -> Move:
    """Wait until the document that pins the candidate is in force: a pod takes it when it has proven the candidate."""
    state, seen = turn.state, turn.seen
    missing = behind(state, seen)
    for name in missing:
        if why := seen.refused.get(name):
            return abort(state, turn.now, "NotLoaded", f"pod {name}: {why}")
    if seen.pods and not missing and not state.paused:
        return _loaded(turn)
    if turn.late:
        why = f"after {turn.elapsed:.0f} s not by {', '.join(missing) or 'any pod'}"
        return abort(state, turn.now, "NotLoaded", why)
    return stay(state)


def _loaded(turn: Turn) -> Move:
    if turn.spec.shadow:
        share = f"{turn.spec.shadow.percent} % of the requests are copied to the candidate"
        return advance(turn.state, Stage.SHADOWING, turn.now, share)
    return _step(turn, 0)


def shadowing(turn: Turn) -> Move:
    """Judge the candidate by what it answers to copies."""
    shadow = turn.spec.shadow
    if shadow is None:
        return _step(turn, 0)
    state, stop = _judged(turn, criteria.SHADOW, shadow)
    if stop:
        return abort(state, turn.now, *stop)
    copies = criteria.copies(state.counted(state.candidate))
    lacks = _lacks(copies, shadow.min_requests, [])
    if move := _held(turn, state, shadow.seconds, shadow.max_wait_seconds, lacks):
        return move
    return _step(turn._replace(state=state), 0)


def stepping(turn: Turn) -> Move:
    """Judge the candidate by what it answers to its share."""
    analysis, steps = turn.rollout.analysis, turn.rollout.steps
    state, stop = _judged(turn, criteria.STEP, analysis)
    if stop:
        return abort(state, turn.now, *stop)
    step = steps[min(state.step, len(steps) - 1)] if steps else None
    if step is None or (state.approval and not state.paused):
        return _step(turn._replace(state=state), state.step + 1)
    compared = weight_of(turn.rollout, state.step) < 100
    unjudged = criteria.unjudged(criteria.STEP, analysis, state.analysis, compared=compared)
    lacks = _pods_lacking(turn) or _lacks(
        criteria.answers(state.counted(state.candidate)), analysis.min_requests, unjudged
    )
    if move := _held(turn, state, step.pause_seconds, analysis.max_wait_seconds, lacks):
        return move
    if step.manual:
        waits = f"step {state.step + 1} of {len(steps)} is passed and waits for approval"
        held = state.model_copy(update={"paused": True, "approval": True, "message": waits})
        return noted(held, "Normal", "AwaitingApproval", waits)
    return _step(turn._replace(state=state), state.step + 1)


def promoting(turn: Turn) -> Move:
    """Wait until the candidate's own pods have all of the traffic: the first Deployment may take its image then."""
    state = turn.state
    if state.paused:
        return stay(state)
    if state.apart is None or state.apart.route is Route.CANDIDATE:
        return promote(state, turn.now, "no other pods get requests")
    if turn.late:
        why = f"after {turn.elapsed:.0f} s {_pods_lacking(turn) or 'its pods do not have all of the traffic'}"
        return abort(state, turn.now, "NotPrepared", why)
    return stay(state)


def _pods_lacking(turn: Turn) -> str:
    """Of a candidate with pods of its own: how many there are; empty when those are enough."""
    apart = turn.state.apart
    have = sum(pod.rendered == turn.state.own_fingerprint for pod in turn.seen.own)
    return f"{have} of {apart.replicas} pods of its own are ready" if apart and have < apart.replicas else ""


def _judged(
    turn: Turn, table: tuple[criteria.Criterion, ...], limits: Analysis | Shadow
) -> tuple[RolloutState, tuple[str, str] | None]:
    """Measure the candidate; the state with the figures, and why it must be aborted if it must."""
    state = turn.state
    version = state.candidate.version if state.candidate else ""
    shifts = [pod.shifts[version] for pod in turn.seen.pods if version in pod.shifts]
    sample = criteria.Sample(
        candidate=state.counted(state.candidate),
        stable=state.counted(state.stable),
        shift=sum(shifts) / len(shifts) if shifts else None,
        least=limits.min_requests,
    )
    figures = criteria.measure(table, limits, sample)
    return state.model_copy(update={"analysis": figures}), criteria.crossed(table, figures)


def _lacks(answers: float, least: int, unjudged: list[str]) -> str:
    """What it takes to pass a stage or step: answers, and figures that have a limit; empty when all is there."""
    if answers < least:
        return f"{answers:.0f} of {least} answers"
    return f"too little is known to judge {', '.join(unjudged)}" if unjudged else ""


def _held(turn: Turn, state: RolloutState, seconds: float, patience: float, lacks: str) -> Move | None:
    """Stay when it is too early to pass, abort when it is too late; None when it can be passed."""
    if state.paused:
        return stay(state)
    if turn.watched >= seconds and not lacks:
        return None
    if lacks and turn.elapsed > seconds + patience:
        unread = "".join(f"; pod {pod.name} was not read: {pod.problem}" for pod in turn.seen.pods if pod.problem)
        return abort(state, turn.now, "NotEnoughRequests", f"{lacks} in {turn.elapsed:.0f} s{unread}")
    return stay(state)


def _step(turn: Turn, step: int) -> Move:
    """Begin a step, or promote after the last one."""
    steps = turn.rollout.steps
    if step >= len(steps):
        return promote(turn.state, turn.now, "every step is passed")
    share = f"step {step + 1} of {len(steps)}: {steps[step].weight} % of the traffic"
    return advance(turn.state, Stage.STEPPING, turn.now, share, step)


STAGES: Mapping[Stage, Callable[[Turn], Move]] = {
    Stage.PREPARING: preparing,
    Stage.LOADING: loading,
    Stage.SHADOWING: shadowing,
    Stage.STEPPING: stepping,
    Stage.PROMOTING: promoting,
}
