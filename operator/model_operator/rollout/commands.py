"""What people ask for by annotation: `promote`, `pause`, `resume`, `abort`, each acted on once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from model_operator.rollout.moves import Move, abort, began, noted, promote, stay
from model_operator.rollout.spec import RolloutSpec
from model_operator.rollout.state import ACTIVE, RolloutState, Stage

LOADED = frozenset({Stage.SHADOWING, Stage.STEPPING})


class Command(NamedTuple):
    """`ACTION[:VERSION][@ID]`: an id makes a second command a new one, a version keeps it from another candidate."""

    action: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "Command":
        """Read the annotation; anything can be in there."""
        action, _, version = text.partition("@")[0].partition(":")
        return cls(action.strip().lower(), version.strip())


def obey(spec: RolloutSpec, state: RolloutState, text: str | None, now: datetime) -> Move:
    """Carry out a command that was not seen before; one that makes no sense now is told and forgotten."""
    if not text or text == state.command:
        return stay(state)
    state = state.model_copy(update={"command": text, "ignored": ""})
    command = Command.parse(text)
    candidate = state.candidate.version if state.candidate else ""
    act = ACTIONS.get(command.action)
    if act is None:
        return _ignored(state, f"{command.action!r} is none of {', '.join(ACTIONS)}")
    if command.version and command.version != candidate:
        return _ignored(state, f"{command.action} is for version {command.version}, not for {candidate or 'none'}")
    return act(spec, state, now)


def _ignored(state: RolloutState, why: str) -> Move:
    return noted(state.model_copy(update={"ignored": why}), "Warning", "CommandIgnored", why)


def _promote(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    del spec
    if state.stage not in LOADED:
        return _ignored(state, f"nothing to promote: {state.phase}; a candidate can be once every pod has loaded it")
    return promote(state, now, "it was asked for")


def _abort(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    del spec
    if state.stage not in ACTIVE:
        return _ignored(state, f"nothing to abort: {state.phase}")
    return abort(state, now, "Requested", "it was asked for")


def _pause(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    del spec, now
    if state.stage not in ACTIVE or state.paused:
        return _ignored(state, f"nothing to pause: {state.phase}")
    return noted(state.model_copy(update={"paused": True}), "Normal", "Paused", "it was asked for")


def _resume(spec: RolloutSpec, state: RolloutState, now: datetime) -> Move:
    if state.stage is Stage.ABORTED:
        return began(spec, state, now)
    if not state.paused:
        return _ignored(state, f"nothing to resume: {state.phase}")
    changes = {"paused": False, "message": ""} | ({} if state.approval else {"since": now})
    return noted(state.model_copy(update=changes), "Normal", "Resumed", "it was asked for")


ACTIONS: Mapping[str, Callable[[RolloutSpec, RolloutState, datetime], Move]] = {
    "promote": _promote,
    "pause": _pause,
    "resume": _resume,
    "abort": _abort,
}
