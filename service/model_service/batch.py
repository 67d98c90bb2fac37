"""What a batch is made of: a request in the queue, its answers, and the limits of both."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from model_artifact.coercion import Row
from model_service.errors import DeadlineExceeded
from model_service.telemetry.batches import Spanned


class WrongRowCount(Exception):
    """The model answered another number of rows than it was asked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a batcher may do.

    Attributes:
        share: whether requests share calls; without it each has one of its own.
        batch_rows: of one call.
        queue_rows: that may wait.
        window: seconds to wait for more.
        inline_rows: of a call that runs on the event loop.
        stuck_seconds: after which a call is taken to never end.
    """

    share: bool
    batch_rows: int
    queue_rows: int
    window: float
    inline_rows: int
    stuck_seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to the rows of a call as plain values: a prediction each, and its probabilities where there are any."""

    predictions: list[Any]
    probabilities: list[list[float]] | None


Part = tuple[Answered, int]
"""A request's answers: those of its whole call, and the position of its first row in them."""


class Item:
    """One request in the queue."""

    __slots__ = ("deadline", "future", "gone", "queued", "rows", "span", "watch")

    def __init__(self, rows: list[Row], deadline: float, gone: Callable[[], Awaitable[None]], span: Spanned) -> None:
        self.rows, self.deadline, self.gone, self.span = rows, deadline, gone, span
        self.queued = time.perf_counter()
        self.future: asyncio.Future[Part] = asyncio.get_running_loop().create_future()
        self.watch: asyncio.Future[None] | None = None

    def fail(self, error: Exception) -> None:
        """Answer with an error, unless it is answered already."""
        if not self.future.done():
            self.future.set_exception(error)


def too_late() -> DeadlineExceeded:
    """What a request is told whose time is over."""
    return DeadlineExceeded("the request was not answered within its time; send fewer at once, or allow it more")
