"""The port: what a storage scheme must be able to do. Its own errors become ours here and nowhere else."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

CHUNK = 1 << 20
"""Bytes read at once."""


@dataclass(frozen=True)
class Content:
    """An object being read: its bytes, and its size in bytes and time of change (UTC) where the scheme knows them."""

    chunks: Iterator[bytes]
    size: int | None = None
    modified: datetime | None = None


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for a connection, and for the next bytes."""

    connect: float = 10.0
    read: float = 30.0


class Source(Protocol):
    """One URI. Keys are relative to it: an empty one is its own object, `1/manifest.json` lies below it.

    Every method raises FetchError only.
    """

    @property
    def identity(self) -> str:
        """Who asks, for messages: an account, `anonymous`, a local user."""

    @property
    def place(self) -> str:
        """The URI as `neighbours` writes URIs: no secrets, no `/` at its end."""

    def open(self, key: str) -> AbstractContextManager[Content]:
        """Read one object.

        Raises:
            NotFound: there is no such object.
        """

    def children(self) -> Iterable[str]:
        """Names one level below the URI, folders with a `/` at the end; nothing where the scheme cannot list."""

    def neighbours(self) -> Iterable[str]:
        """What exists beside the URI, as URIs, to help who mistyped; nothing where the scheme cannot list."""
