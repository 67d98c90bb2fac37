"""What a batch is made of: a request in the queue, its answers, and the limits of both."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opentelemetry.trace import SpanContext

from model_service.errors import DeadlineExceeded
from model_service.runtimes.base import Rows

USUAL_ROWS = 256
"""Models with one price for a call have it divided enough by so many rows."""
QUICK_SECONDS = 0.02
"""A call of more rows than usual takes no longer."""


class WrongRowCount(Exception):
    """The model answered another number of rows than it was asked."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a batcher may do.

    Attributes:
        share: whether requests share calls; without it each has one of its own.
        batch_rows: of one call; see `rows_of_call`.
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

    def rows_of_call(self, rows_per_second: float) -> int:
        """Most rows of the next call, for a model that answered so many a second.

        More rows than usual share a call when they are answered so quickly that nobody waits long for the others: with
        few rows each, most of the time would go into changing threads.
        """
        quick = int(rows_per_second * QUICK_SECONDS)
        return min(self.batch_rows, max(USUAL_ROWS, quick)) if self.share else self.batch_rows


Scores = list[list[float]] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to the rows of a call as plain values: a prediction each, and its probabilities where there are any.

    Those of many rows are left in an array (rows, classes) of float64.
    """

    predictions: list[Any]
    probabilities: Scores | None


def joined(parts: Sequence[Answered]) -> Answered:
    """The answers of several calls, which a request with more rows than a call may have was divided into."""
    predictions = [value for part in parts for value in part.predictions]
    scores = [part.probabilities for part in parts if part.probabilities is not None]
    return Answered(predictions, np.concatenate(scores) if scores else None)


Part = tuple[Answered, int]
"""A request's answers: those of its whole call, and the position of its first row in them."""


class Item(ABC):
    """One request in the queue: it is told its answer or why there is none, once.

    Args:
        rows: of the request, coerced.
        deadline: by `time.perf_counter`.
        span: the request's server span when it is sampled.
    """

    __slots__ = ("deadline", "queued", "rows", "span")

    def __init__(self, rows: Rows, deadline: float, span: SpanContext | None = None) -> None:
        self.rows, self.deadline, self.span = rows, deadline, span
        self.queued = time.perf_counter()

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it was told, or nobody waits any more."""

    @abstractmethod
    def answer(self, part: Part) -> None:
        """Tell the answer."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """Tell why there is none, unless it is `done`."""

    def watch(self, left: Callable[[], None]) -> None:  # noqa: B027 - for who is not told by the connection
        """Have `left` called when the client goes away; asked for once the request has had to wait."""


class Awaited(Item):
    """A request whose coroutine awaits `future`."""

    __slots__ = ("_gone", "_watch", "future")

    def __init__(
        self, rows: Rows, deadline: float, gone: Callable[[], Awaitable[None]], span: SpanContext | None
    ) -> None:
        super().__init__(rows, deadline, span)
        self.future: asyncio.Future[Part] = asyncio.get_running_loop().create_future()
        self._gone = gone
        self._watch: asyncio.Future[None] | None = None

    @property
    def done(self) -> bool:
        """Whether the future is."""
        return self.future.done()

    def answer(self, part: Part) -> None:
        """Set the future's result."""
        self.future.set_result(part)

    def fail(self, error: Exception) -> None:
        """Set the future's exception."""
        if not self.future.done():
            self.future.set_exception(error)

    def watch(self, left: Callable[[], None]) -> None:
        """Await the client's departure beside the answer."""
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._gone())
            self._watch.add_done_callback(lambda watch: None if watch.cancelled() else left())

    def unwatch(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()


def too_late() -> DeadlineExceeded:
    """What a request is told whose time is over."""
    return DeadlineExceeded("the request was not answered within its time; send fewer at once, or allow it more")
