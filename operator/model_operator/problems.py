"""What a turn could not do, as the status tells it."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Machine-readable reasons of the operator's own; those of pods are the pods'."""

    INVALID_VALUES = "InvalidValues"
    """The chart refuses the values."""
    NAME_TAKEN = "NameTaken"
    """An object of that name is there and belongs to somebody else."""
    APPLY_REFUSED = "ApplyRefused"
    """The API server refuses an object: quota, admission, a field that cannot change."""
    MISSING_API = "MissingAPI"
    """The cluster lacks what a field needs."""
    TRAFFIC_NOT_TAKEN = "TrafficNotTaken"
    """Pods answer with other weights than those that are to be in force."""
    STATE_UNREADABLE = "StateUnreadable"
    """What a rollout remembers is not what an operator wrote."""
    AUTHORITIES_MISSING = "AuthoritiesMissing"
    """There is nothing to check the pods' certificate by."""
    SOURCE_UNKNOWN = "SourceUnknown"
    """What the unpinned source holds could not be found out."""


@dataclass(frozen=True)
class Problem:
    """One of them. `message` says what, where, and what to do."""

    reason: str
    message: str
