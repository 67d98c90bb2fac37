"""The moves between stages: each gives the new state and what to tell people about it.

Only `promote` gives a proven stable revision's place away, and no move but those that begin a rollout, or end one whose
rolling update is still going on, changes what pods are rendered with.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

from model_operator.rollout.spec import Revision, RolloutSpec
from model_operator.rollout.state import ACTIVE, Apart, Event, RolloutState, Route, Stage


class Move(NamedTuple):
    """A state, and what is told of how it came about."""

    state: RolloutState
    events: tuple[Event, ...] = ()


def stay(state: RolloutState) -> Move:
    """No move."""
    return Move(state)


def noted(state: RolloutState, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Move:
    """A state and one event about it."""
    return Move(state, (Event(type=kind, reason=reason, message=message),))


def adopt(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    """Take the target for the stable revision at once: nothing serves yet, or a plain rolling update is wanted."""
    target = spec.model
    changes: dict[str, Any] = {"stable": target, "proven": False, "candidate": None, "rendered": (target,)}
    fresh = state.entered(Stage.IDLE, now, **changes, apart=None)
    return noted(fresh, "Normal", "Adopted", f"version {target.version or target.uri} is the stable one")


def refresh(spec: RolloutSpec, state: RolloutState) -> RolloutState:
    """Follow a known revision to another place or image: the same content under another address."""
    target = spec.model

    def same(revision: Revision | None) -> Revision | None:
        if revision is None or revision.identity == target.identity:
            return revision and target
        unknown = revision.service_image is None
        return revision.model_copy(update={"service_image": target.service_image}) if unknown else revision

    rendered = tuple(same(revision) or revision for revision in state.rendered)
    changes = {"stable": same(state.stable), "candidate": same(state.candidate), "rendered": rendered}
    return state.model_copy(update=changes)


def began(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    """Begin the rollout of the target; one that cannot share traffic with the stable version is aborted at once."""
    target, stable = spec.model, state.stable
    if stable is None:
        return adopt(spec, state, now)
    before = state.before if state.stage is Stage.PREPARING else state.rendered
    told = () if state.stage not in ACTIVE else (_superseded(state),)
    if why := _inseparable(spec, stable):
        move = abort(state.model_copy(update={"candidate": target}), now, "Inseparable", why)
        return Move(move.state, told + move.events)
    changes: dict[str, Any] = {"candidate": target, "before": before}
    if target.service_image != stable.service_image:
        message = f"version {target.version} needs another image than {stable.version}: it gets pods of its own"
        changes |= {"rendered": before, "apart": Apart()}
    else:
        known = {revision.identity for revision in state.rendered}
        rendered = state.rendered if {stable.identity, target.identity} <= known else (stable, target)
        message = f"version {target.version} is brought to every pod, beside {stable.version}"
        changes |= {"rendered": rendered, "apart": None}
    changes["message"] = message
    fresh = state.entered(Stage.PREPARING, now, **changes)
    return Move(fresh, (*told, Event(type="Normal", reason="RolloutStarted", message=message)))


def withdraw(state: RolloutState, now: datetime) -> Move:
    """The target is the stable revision again: the candidate is given up."""
    candidate, was = state.candidate, state.stage
    fresh = _back(state).entered(Stage.IDLE, now, candidate=None, apart=None)
    if candidate is None or was not in ACTIVE:
        return Move(fresh)
    return noted(fresh, "Normal", "Withdrawn", f"version {candidate.version} is not asked for any more")


def advance(state: RolloutState, stage: Stage, now: datetime, message: str, step: int = 0) -> Move:
    """Go on to the next stage or step."""
    return noted(state.entered(stage, now, step, message=message), "Normal", str(stage), message)


def promote(state: RolloutState, now: datetime, why: str) -> Move:
    """The candidate is the stable revision from now on; one with pods of its own must have all of the traffic first."""
    candidate = state.candidate
    if state.apart and state.apart.route is not Route.CANDIDATE:
        return advance(state, Stage.PROMOTING, now, f"its own pods come to all of the traffic: {why}")
    message = f"version {candidate.version if candidate else ''} has all of the traffic: {why}"
    changes: dict[str, Any] = {"stable": candidate, "candidate": None, "analysis": state.analysis, "message": message}
    changes |= {"rendered": (candidate,)} if state.apart else {}
    return noted(state.entered(Stage.PROMOTED, now, **changes), "Normal", "Promoted", message)


def abort(state: RolloutState, now: datetime, reason: str, why: str) -> Move:
    """All traffic goes back to the stable revision, which never left the pods."""
    kept: dict[str, Any] = {"analysis": state.analysis, "counts": state.counts, "apart": None}
    fresh = _back(state).entered(Stage.ABORTED, now, state.step, **kept, reason=reason, message=why)
    candidate = state.candidate.version if state.candidate else ""
    stable = state.stable.version if state.stable else ""
    return noted(fresh, "Warning", "Aborted", f"{reason}: version {candidate}: {why}; version {stable} has all traffic")


def _back(state: RolloutState) -> RolloutState:
    """Take back a rolling update that is not over: its pods might never come up."""
    if state.stage is not Stage.PREPARING:
        return state
    return state.model_copy(update={"rendered": state.before})


def _superseded(state: RolloutState) -> Event:
    version = state.candidate.version if state.candidate else ""
    return Event(type="Normal", reason="Superseded", message=f"version {version} is given up for another one")


def _inseparable(spec: RolloutSpec, stable: Revision) -> str:
    """Why the target cannot share the traffic with the stable revision; empty when it can."""
    target = spec.model
    if not target.version or not stable.version:
        return "traffic is shared by version, so spec.model.version must be given for both the old and the new one"
    if target.name != stable.name:
        return f"the model was {stable.name!r} and is {target.name!r}: another model needs a resource of its own"
    if target.version == stable.version:
        return f"its content is not that of the stable version, but the name is: {stable.version!r}; give it another"
    if spec.shadow and target.service_image != stable.service_image:
        return "requests are copied inside a pod, which has one image, and it needs another; leave spec.shadow out"
    return ""
