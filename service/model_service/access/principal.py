"""Who asks, and what their roles let them do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Literal, Protocol

Scope = Literal["predict", "docs", "metrics", "admin"]
Kind = Literal["key", "jwt", "token", "basic"]

ROLES: Mapping[str, frozenset[Scope]] = {
    "predict": frozenset({"predict", "docs"}),
    "docs": frozenset({"docs"}),
    "metrics": frozenset({"metrics"}),
    "admin": frozenset({"admin", "docs", "metrics"}),
}
"""What each role may do. An administrator who also predicts has both roles."""


@dataclass(frozen=True)
class Principal:
    """Somebody who proved who they are.

    Attributes:
        name: of the key, user, client or subject; unique within its kind.
        kind: how it was proven.
        roles: names from `ROLES`.
        models: names of the models that it is limited to; all when null.
        scopes: what the roles allow.
        quick: of these, what takes no second look: no action that is audited, no model that is excluded.
    """

    name: str
    kind: Kind
    roles: frozenset[str]
    models: frozenset[str] | None = None
    scopes: frozenset[Scope] = field(init=False)
    quick: frozenset[Scope] = field(init=False)

    def __post_init__(self) -> None:
        scopes = frozenset[Scope]().union(*(ROLES[role] for role in self.roles))
        object.__setattr__(self, "scopes", scopes)
        object.__setattr__(self, "quick", scopes - {"admin"} if self.models is None else frozenset())

    @classmethod
    def make(cls, name: str, kind: Kind, roles: Iterable[str], models: Iterable[str] | None) -> "Principal":
        """A principal from lists."""
        return cls(name, kind, frozenset(roles), None if models is None else frozenset(models))


@dataclass(frozen=True, slots=True)
class Proof:
    """A credential that was found right, remembered by the sha256 of what was presented.

    Attributes:
        digest: that sha256.
        principal: whose it is.
        expires: until when it holds, in seconds since the epoch.
    """

    digest: bytes
    principal: Principal
    expires: float


@dataclass(frozen=True, slots=True)
class Shown:
    """The credential that a connection showed last: showing it again costs a comparison, in constant time.

    Attributes:
        era: in which it was looked up; another one begins when files or keys change.
        header: that it came in.
        value: of that header.
        proof: what it proved.
    """

    era: object
    header: bytes
    value: bytes
    proof: Proof

    def holds(self, era: object, header: bytes, value: bytes) -> bool:
        """Whether this is the credential, and nothing has changed since."""
        return self.era is era and self.header is header and compare_digest(self.value, value)


class Remembers(Protocol):
    """A connection, as far as access control is concerned."""

    shown: Shown | None
