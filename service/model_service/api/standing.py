"""What is the same for every request of one caller over one connection to one version: found out once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model_service.headers import Headers
from model_service.protocol import GuardedProtocol
from model_service.versions import Lane


class Someone(Protocol):
    """Who sends a request, as access control found out: `quick` holds what they may do without a second look."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def quick(self) -> Collection[str]: ...  # noqa: D102


class Gate(Protocol):
    """Access control, as far as it need not wait."""

    def known(self, headers: Headers, connection: GuardedProtocol) -> Someone | None:
        """Who sends a request; none where only the layer can find out."""


class Rates(Protocol):
    """The limits of rates, as far as they need not wait."""

    def charges(self, scope: dict[str, Any], path: str) -> Sequence[Any]:
        """What a request is held against."""

    def take(self, charges: Sequence[Any], now: float) -> bytes | None:
        """Charge a request; lines of the answer's head, or none where only the layer can, or must refuse it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller before a version.

    Attributes:
        principal: the caller, where that matters.
        lane: to the version.
        known: what the access line tells of both.
        charges: what each request is held against.
    """

    principal: Someone | None
    lane: Lane
    known: dict[str, str]
    charges: Sequence[Any]


def find_out(connection: GuardedProtocol, principal: Someone | None, lane: Lane, rates: Rates | None) -> Standing:
    """How a caller stands, who names no model in a path."""
    known = lane.known if principal is None else {"principal": principal.name, **lane.known}
    caller = {"client": connection.client, "state": {"principal": principal}}
    return Standing(principal, lane, known, rates.charges(caller, "/predict") if rates is not None else ())
