"""The port: what a storage scheme must be able to do. Its own errors become ours here and nowhere else."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

CHUNK = 256 << 10
"""Most bytes read at once."""

Auth = Literal["auto", "credentials", "anonymous"]
"""`auto` asks as whom the environment names, and as nobody where that one is refused."""


def nothing() -> None:
    """Do nothing."""


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Ask:
    """Which bytes: `start` to before `stop` of an object, as they are when nothing else is said.

    `key` is relative to the source's URI. With `version`, no other version's bytes will do. With `known`, none are
    needed when that is still the version there.
    """

    key: str = ""
    start: int = 0
    stop: int | None = None
    version: str = ""
    known: str = ""


@dataclass(frozen=True)
class Checksum:
    """What the store says the whole object hashes to: a name of hashlib, and hex digits."""

    algorithm: str
    digits: str


@dataclass(frozen=True)
class Content:
    """An object being read, and what its store tells of it.

    `start` is where in the object the first chunk belongs, 0 where a store ignores what was asked for, and `stop` where
    the last one ends. `size` (bytes) and `modified` (UTC) are those of the whole object. `version` changes whenever the
    bytes do and is empty where the store has no such thing; then parts of the object cannot be put together.
    `unchanged` means: the version that was known, and no bytes. `cancel` ends the reading from another thread.
    """

    chunks: Iterator[bytes]
    start: int = 0
    stop: int | None = None
    size: int | None = None
    version: str = ""
    modified: datetime | None = None
    checksum: Checksum | None = None
    unchanged: bool = False
    cancel: Callable[[], None] = nothing


@dataclass(frozen=True)
class Entry:
    """An object of a listing: its key below the URI, and its size in bytes."""

    key: str
    size: int


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for a connection, and for enough more bytes."""

    connect: float = 10.0
    read: float = 30.0


@dataclass(frozen=True)
class Access:
    """How sources may ask: whom as, through which authorities' certificates, with which further HTTP headers."""

    timeouts: Timeouts = Timeouts()
    auth: Auth = "auto"
    ca_bundle: Path | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    connections: int = 16
    notify: Callable[[str], None] = silent


class Source(Protocol):
    """One URI. Keys are relative to it: an empty one is its own object, `1/manifest.json` lies below it.

    Every method raises DeliveryError only, and may be called from many threads at once.
    """

    @property
    def identity(self) -> str:
        """Who asks, for messages: an account, `anonymous`, a local user."""

    @property
    def place(self) -> str:
        """The URI as `neighbours` writes URIs: no secrets, no `/` at its end."""

    def open(self, ask: Ask) -> AbstractContextManager[Content]:
        """Read one object, or a part of it.

        Raises:
            NotFound: there is no such object.
            Changed: it has another version than the one that was asked for.
        """

    def children(self) -> Iterable[str]:
        """Names one level below the URI, folders with a `/` at the end; nothing where the scheme cannot list."""

    def objects(self) -> Iterable[Entry]:
        """Every object below the URI, at any depth; nothing where the scheme cannot list."""

    def neighbours(self) -> Iterable[str]:
        """What exists beside the URI, as URIs, to help who mistyped; nothing where the scheme cannot list."""
