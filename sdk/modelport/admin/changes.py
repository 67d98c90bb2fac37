"""Bringing a change of traffic to every server of a fleet, and to those that start later.

One server tries the new document first, because it may refuse it (a version that cannot be served) and then nothing has
changed anywhere. Then it is stored for servers that start later, then all others are told.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from modelport.admin.api import AdminApi
from modelport.admin.documents import Document, Entry, replaced
from modelport.answers import ApiError, ClientError

CONFLICT = 409


class Outdated(Exception):
    """Somebody else has changed the traffic meanwhile."""


class Fleet(Protocol):
    """Servers that share one traffic document."""

    def members(self) -> list[AdminApi]:
        """The servers that take traffic now."""
        ...

    def stored(self) -> Document:
        """What a server that starts now begins with."""
        ...

    def store(self, document: Document) -> None:
        """Keep it for servers that start later. Raises Outdated when somebody else has kept another one meanwhile."""
        ...


@dataclass(frozen=True)
class Changed:
    """The document in force, the servers that took it, and why others did not."""

    document: Document
    taken: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def change(fleet: Fleet, model: str, edit: Callable[[Entry], Entry]) -> Changed:
    """Change the traffic of one model everywhere; a conflict is tried once more upon what is in force then.

    Raises:
        ApiError, ServiceUnreachable: the first server refused it, or gave no answer; nothing was changed.
        LookupError: the model is not served there.
        Outdated: there was a conflict twice.
    """
    try:
        return _attempt(fleet, model, edit)
    except Outdated:
        return _attempt(fleet, model, edit)


def _attempt(fleet: Fleet, model: str, edit: Callable[[Entry], Entry]) -> Changed:
    members, stored = fleet.members(), fleet.stored()
    latest = max([stored, *(member.traffic() for member in members)], key=lambda document: document["generation"])
    entry = latest["models"].get(model) or {"default": _default_version(members, model)}
    document = replaced(latest, model, edit(dict(entry)), latest["generation"] + 1)
    taken = []
    if members:
        _try(members[0], document)
        taken.append(members[0].where)
    fleet.store(document)
    failed = {}
    for member in fleet.members():
        if member.where not in taken:
            try:
                member.put_traffic(document)
                taken.append(member.where)
            except ClientError as error:
                failed[member.where] = str(error)
    return Changed(document, taken, failed)


def _try(member: AdminApi, document: Document) -> None:
    try:
        member.put_traffic(document)
    except ApiError as error:
        if error.status == CONFLICT and member.traffic()["generation"] >= document["generation"]:
            raise Outdated(f"{member.where}: {error}") from error
        raise


def _default_version(members: list[AdminApi], model: str) -> str:
    """The version of a model that no document names yet: the server's default, or the one that is loaded."""
    rows = [row for member in members[:1] for row in member.models()["models"]]
    own = sorted((row for row in rows if row["name"] == model), key=lambda row: not row["default"])
    if not own:
        known = sorted({row["name"] for row in rows})
        raise LookupError(
            f"{model} is not served there" + (f"; {', '.join(known)} is" if known else ": no pod is ready")
        )
    return str(own[0]["version"])
