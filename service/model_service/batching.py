"""Micro-batches: requests that wait together are answered by one call of the model.

A batch forms from what is waiting: whatever arrived in one turn of the event loop, or while the call before it ran.
There is no fixed wait unless `window` sets one. Each version has its own batcher, and everything else that changes an
answer is in its rows, so that a batch never mixes what must not be mixed. Calls that were measured to be cheaper than a
hop to a thread run on the event loop; all others run in the version's own thread, one at a time.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from opentelemetry.trace import SpanContext

from model_service.batch import Answered, Awaited, Item, Limits, Part, WrongRowCount, joined, too_late
from model_service.errors import ClientLeft, ModelNotReady, Overloaded, PredictionFailed, ServiceError
from model_service.runtimes import arrays
from model_service.runtimes.base import Rows
from model_service.telemetry.batches import BatchTelemetry

TICK_SECONDS = 0.01
"""How often deadlines and departed clients are looked for while a call runs in the thread, or a window is open."""
RATE_WEIGHT = 0.2
"""Of the newest call in the running mean of rows a second."""
MAX_RETRY_AFTER = 60

log = logging.getLogger(__name__)
Predict = Callable[[Rows], Answered]


class Batcher:
    """The queue in front of one loaded version.

    Attributes:
        limits: as they were given; a version that is asked too keeps off the event loop whatever they say.
        executor: one thread, for calls that are not made on the event loop.
    """

    def __init__(
        self,
        predict: Predict,
        limits: Limits,
        telemetry: BatchTelemetry,
        on_dead: Callable[[str], None],
        executor: Executor | None = None,
    ) -> None:
        self._predict, self._limits, self._telemetry, self._on_dead = predict, limits, telemetry, on_dead
        self.limits = limits
        self.executor = executor or ThreadPoolExecutor(1, "predict")
        self._queue: deque[Item] = deque()
        self._running: list[Item] = []
        self._running_since = 0.0
        self._queued_rows = 0
        self._rows_per_second = 0.0
        self._call_rows = limits.rows_of_call(0.0)
        self._scheduled: asyncio.Handle | None = None
        self._in_window = False
        self._dead = False

    async def submit(
        self, rows: Rows, deadline: float, gone: Callable[[], Awaitable[None]], span: SpanContext | None = None
    ) -> Part:
        """Answer rows in a batch with whatever else waits.

        Args:
            rows: of one request, coerced; more than a call takes are answered in several calls.
            deadline: by `time.perf_counter`.
            gone: awaits the client's departure; it is asked only when the request has to wait.
            span: the request's server span when it is sampled.

        Raises:
            Overloaded: more rows wait than may, or the wait would outlast the deadline.
            DeadlineExceeded: the time is over; what still waited is never computed.
            PredictionFailed: the model raised for these rows, or answered another number of rows.
            ClientLeft: nobody waits for the answer any more; what still waited is never computed.
            ModelNotReady: the batcher broke; `on_dead` was told.
        """
        item = Awaited(rows, deadline, gone, span)
        self.enqueue(item)
        try:
            return await item.future
        finally:
            item.unwatch()

    def enqueue(self, item: Item) -> None:
        """Queue a request that is told its answer.

        Raises:
            Overloaded: as `submit`.
            ModelNotReady: as `submit`.
        """
        rows = len(item.rows)
        self._admit(rows, item.deadline)
        self._queue.append(item)
        self._queued_rows += rows
        if not self._running:
            self._schedule()

    def leave(self, item: Item) -> None:
        """Nobody waits for the answer any more; what still waits is never computed."""
        if not item.done:
            self._telemetry.cancelled()
            item.fail(ClientLeft())

    def run(self, job: Callable[[], None]) -> Future[None]:
        """Have the version's thread do something between the calls of requests."""
        return self.executor.submit(job)

    def stay_in_thread(self, stay: bool) -> None:
        """Make every call in the version's thread, however cheap; a change takes effect with the next call."""
        self._limits = replace(self.limits, inline_rows=0) if stay else self.limits

    def close(self, *, wait: bool = True) -> None:
        """Stop the thread, and let the running call finish where it may be waited for."""
        self.executor.shutdown(wait=wait)

    def _admit(self, rows: int, deadline: float) -> None:
        if self._dead:
            raise ModelNotReady("the model has stopped answering; this server is being replaced")
        waiting = self._queued_rows
        if not waiting:
            return
        wait = waiting / self._rows_per_second if self._rows_per_second else 0.0
        if waiting + rows <= self._limits.queue_rows and wait <= deadline - time.perf_counter():
            return
        retry_after = min(MAX_RETRY_AFTER, max(1, math.ceil(wait)))
        raise Overloaded(f"{waiting} rows wait already; try again in {retry_after} s", retry_after)

    def _schedule(self) -> None:
        full = self._queued_rows >= self._call_rows
        if self._scheduled is not None:
            if not (full and self._in_window):
                return
            self._scheduled.cancel()
        loop = asyncio.get_running_loop()
        self._in_window = self._limits.window > 0 and not full
        if self._in_window:
            self._scheduled = loop.call_later(max(0.0, self._window_left()), self._flush, "window")
            loop.call_later(TICK_SECONDS, self._tick, self._scheduled)
        else:
            self._scheduled = loop.call_soon(self._flush, "idle")

    def _window_left(self) -> float:
        return self._queue[0].queued + self._limits.window - time.perf_counter()

    def _flush(self, reason: str) -> None:
        self._scheduled = None
        if reason == "window" and self._queue and self._window_left() > 0:
            self._schedule()  # timers count in milliseconds, and may be a part of one early
            return
        try:
            self._call_what_waits(reason)
        except Exception as error:  # a fault of ours
            self._break(error)

    def _break(self, error: Exception) -> None:
        """Answer everybody: no request may wait for ever because of a fault of ours."""
        log.error("batching failed", exc_info=error)
        self._die(f"batching failed: {error}")

    def _die(self, reason: str) -> None:
        self._dead = True
        for item in (*self._running, *self._queue):
            item.fail(PredictionFailed("the model has stopped answering; the cause is in the server's log"))
        self._on_dead(reason)

    def _call_what_waits(self, reason: str) -> None:
        """Take batches until the queue is empty or a call runs in the thread."""
        while self._queue and not self._running:
            batch, rows = self._take()
            if not batch:
                return
            self._running = batch
            full = self._queue or rows >= self._call_rows
            self._telemetry.started(batch, rows, "full" if full else reason)
            if rows <= self._limits.inline_rows:
                self._settle(batch, self._call(batch), rows)
            else:
                self._start(batch, rows)

    def _take(self) -> tuple[list[Item], int]:
        batch: list[Item] = []
        rows, now = 0, time.perf_counter()
        while self._queue:
            item = self._queue[0]
            if batch and (not self._limits.share or rows + len(item.rows) > self._call_rows):
                break
            self._queue.popleft()
            self._queued_rows -= len(item.rows)
            if item.deadline <= now:
                item.fail(too_late())
            if not item.done:
                batch.append(item)
                rows += len(item.rows)
        return batch, rows

    def _start(self, batch: list[Item], rows: int) -> None:
        loop = asyncio.get_running_loop()
        self._running_since = time.perf_counter()
        call = loop.run_in_executor(self.executor, self._call, batch)
        call.add_done_callback(lambda done: self._finish(batch, done, rows))
        loop.call_later(TICK_SECONDS, self._tick, batch)

    def _finish(self, batch: list[Item], done: "asyncio.Future[_Outcome]", rows: int) -> None:
        try:
            self._settle(batch, done.result(), rows)
            if self._queue:
                self._schedule()
        except Exception as error:  # a fault of ours
            self._break(error)

    def _call(self, batch: list[Item]) -> "_Outcome":
        """Answer a batch, in halves where it raises, so that one bad row fails alone; on the loop or in the thread."""
        started = time.perf_counter()
        with self._telemetry.calling(batch) as call:
            answers = self._attempt(batch)
        return _Outcome(answers, call, started, time.perf_counter())

    def _attempt(self, batch: list[Item]) -> list[Part | ServiceError]:
        rows = arrays.joined([item.rows for item in batch])
        try:
            answered = self._in_calls(rows)
        except WrongRowCount as error:
            self._telemetry.wrong_row_count(str(error))
            return [PredictionFailed("the model answered another number of rows than it was asked")] * len(batch)
        except Exception as error:  # the model is unknown code
            if len(batch) > 1:
                half = len(batch) // 2
                return self._attempt(batch[:half]) + self._attempt(batch[half:])
            self._telemetry.raised(error)
            return [PredictionFailed("the model could not answer this input; the cause is in the server's log")]
        return _split(answered, batch)

    def _in_calls(self, rows: Rows) -> Answered:
        limit = self._call_rows
        if len(rows) <= limit:
            return self._predict(rows)
        parts = [self._predict(rows[start : start + limit]) for start in range(0, len(rows), limit)]
        return joined(parts)

    def _settle(self, batch: list[Item], outcome: "_Outcome", rows: int) -> None:
        rate = rows / max(outcome.ended - outcome.started, 1e-9)
        weight = RATE_WEIGHT if self._rows_per_second else 1.0
        self._rows_per_second += weight * (rate - self._rows_per_second)
        self._call_rows = self._limits.rows_of_call(self._rows_per_second)
        self._telemetry.ended(batch, outcome.call, outcome.started, outcome.ended)
        for item, answer in zip(batch, outcome.answers, strict=True):
            if isinstance(answer, ServiceError):
                item.fail(answer)
            elif not item.done:
                item.answer(answer)
        self._running = []

    def _tick(self, awaited: object) -> None:
        """While `awaited`, a batch or the end of a window, is to come: deadlines, lost clients, calls without end."""
        if awaited is not self._running and awaited is not self._scheduled:
            return
        now = time.perf_counter()
        for item in (*self._running, *self._queue):
            if item.deadline <= now:
                item.fail(too_late())
            else:
                item.watch(partial(self.leave, item))
        self._forget_settled()
        if self._running and now - self._running_since > self._limits.stuck_seconds:
            self._die(f"a call of the model has not ended in {self._limits.stuck_seconds:g} s")
            return
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick, awaited)

    def _forget_settled(self) -> None:
        """Drop what was answered while it waited, so that it takes no room in the queue."""
        waiting = [item for item in self._queue if not item.done]
        if len(waiting) < len(self._queue):
            self._queue = deque(waiting)
            self._queued_rows = sum(len(item.rows) for item in waiting)


@dataclass(frozen=True, slots=True)
class _Outcome:
    answers: list[Part | ServiceError]
    call: SpanContext | None
    started: float
    ended: float


def _split(answered: Answered, batch: list[Item]) -> list[Part | ServiceError]:
    parts: list[Part | ServiceError] = []
    start = 0
    for item in batch:
        parts.append((answered, start))
        start += len(item.rows)
    return parts
