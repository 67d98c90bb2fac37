"""What the harness must know of a server to start it, ask it and understand its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson
from benchmarks.serving.subjects import Subject

HERE = Path(__file__).parent
APPS = HERE / "apps"

Row = Sequence[float]


@dataclass(frozen=True)
class Site:
    """Where one start of a server happens: `folder` is empty and its own, `python` its environment's interpreter."""

    subject: Subject
    folder: Path
    python: Path
    port: int
    spare_ports: tuple[int, int]
    workers: int
    collector: str


@dataclass(frozen=True)
class Launch:
    """A command line, and what it adds to the environment."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """A POST of JSON, with more headers where it needs them."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Takes the class probabilities, one list a row, out of a parsed answer."""

    def __call__(self, answer: Any) -> list[list[float]]:
        """Read one answer."""
        ...


@dataclass(frozen=True)
class Contender:
    """One server in the race.

    Attributes:
        name: as it stands in the table.
        environment: the row of `environments.PINNED` it runs in; none is the environment of the harness.
        launch: how to start it, from the site.
        ask: the request for one row or many, from the subject's name and the rows.
        read: none where the answer is a constant, so that only the status is checked.
        peer: whether it counts for `ratio_best_peer`.
        most_workers: how many worker processes it is asked to run at most.
        about: its settings in a phrase, for the report.
    """

    name: str
    about: str
    launch: Callable[[Site], Launch]
    ask: Callable[[str, Sequence[Row]], Ask]
    read: Reader | None
    environment: str | None = None
    peer: bool = False
    most_workers: int = 2


def json_bytes(document: Any) -> bytes:
    """Compact JSON on one line, the same for every contender."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
