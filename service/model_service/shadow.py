"""A version that is asked too, after the answer has left, and compared: what it would have said.

Requests are gathered for some milliseconds and then handed to the shadow's own thread, which reads, predicts and
compares. What waits is bounded. Everything that was gathered is dropped when the event loop is late, because then the
server has better things to do, and when the shadow does not keep up, for whatever reason.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from model_service.batch import Answered, Part
from model_service.comparison import Said
from model_service.errors import ServiceError
from model_service.jsontext import loads
from model_service.runtimes.arrays import joined
from model_service.runtimes.base import Rows
from model_service.schema import requests_of
from model_service.telemetry.metrics import Metrics
from model_service.versions import Version

GATHER_SECONDS = 0.01
LATE_SECONDS = 0.02
"""An event loop that is so late is busy."""
MAX_REQUESTS, MAX_BYTES = 512, 8 << 20
"""That wait."""
TOGETHER = 64
"""Requests in one call of the shadow."""

log = logging.getLogger(__name__)


class Mirrored(NamedTuple):
    """A request that was answered: its body, whether it is a batch, and what the primary said to its rows."""

    body: bytes
    many: bool
    primary: Version
    part: Part
    rows: int


class Mirror:
    """Asks one shadow.

    Args:
        version: the shadow.
        max_rows: of a batch.
        metrics: of the worker.

    Attributes:
        percent: of the requests that it is asked.
    """

    def __init__(self, version: Version, max_rows: int, metrics: Metrics) -> None:
        self.version, self._max_rows, self.percent = version, max_rows, 100
        key = version.key
        self._waiting: list[Mirrored] = []
        self._bytes, self._due = 0, 0.0
        self._running: Future[None] | None = None
        self._closed = threading.Event()
        self._ok, self._failed = (
            metrics.counter("model_shadow_requests_total", *key, outcome) for outcome in ("ok", "failed")
        )
        self._dropped = metrics.cells("model_shadow_requests_total", (*key, "dropped"), 1)
        self._disagreements = metrics.counter("model_shadow_disagreements_total", *key)
        self._difference = metrics.histogram("model_shadow_score_difference", *key)
        self._seconds = {
            outcome: metrics.histogram("model_request_duration_seconds", *key, "shadow", outcome)
            for outcome in ("ok", "failed")
        }
        version.batcher.stay_in_thread(True)  # a call that never ends must not end the event loop

    def wants(self, version: Version) -> bool:
        """Whether a request to a version is to be offered once it is answered: not where that is the shadow itself.

        One that finds too many waiting is dropped at once, before anything is done for it.
        """
        if version is self.version:
            return False
        if self.percent < 100 and random.random() * 100 >= self.percent:  # noqa: S311 - a sample, not a secret
            return False
        if len(self._waiting) < MAX_REQUESTS:
            return True
        self._dropped[0] += 1.0
        return False

    def offer(self, request: Mirrored) -> None:
        """Take a request that was answered, or drop it; never waits."""
        if self._closed.is_set():
            return
        if len(self._waiting) >= MAX_REQUESTS or self._bytes + len(request.body) > MAX_BYTES:
            self._dropped[0] += 1.0
            return
        if not self._waiting and self._running is None:
            self._schedule()
        self._waiting.append(request)
        self._bytes += len(request.body)

    def close(self) -> None:
        """Ask no more; the version's calls may run on the event loop again once its thread is done with this."""
        self._closed.set()
        self._drop()
        if self._running is None:
            self.version.batcher.stay_in_thread(False)

    def _schedule(self) -> None:
        self._due = time.perf_counter() + GATHER_SECONDS
        asyncio.get_running_loop().call_later(GATHER_SECONDS, self._start)

    def _start(self) -> None:
        if self._closed.is_set():
            return
        if time.perf_counter() - self._due > LATE_SECONDS:
            self._drop()
            return
        requests, self._waiting, self._bytes = self._waiting, [], 0
        loop = asyncio.get_running_loop()
        self._running = self.version.batcher.run(lambda: self._answer(requests))
        self._running.add_done_callback(lambda done: _tell(loop, self._finished, done))

    def _finished(self, done: Future[None]) -> None:
        self._running = None
        if not done.cancelled() and (error := done.exception()) is not None:  # a fault of ours
            log.error("the comparison with %s version %s failed", *self.version.key, exc_info=error)
        if self._closed.is_set():
            self.version.batcher.stay_in_thread(False)
        elif self._waiting:
            self._schedule()

    def _drop(self) -> None:
        self._dropped[0] += len(self._waiting)
        self._waiting, self._bytes = [], 0

    def _answer(self, requests: Sequence[Mirrored]) -> None:
        """In the shadow's thread: many in one call, and one after the other where that raises."""
        readable = [(request, rows) for request in requests if (rows := self._read(request)) is not None]
        for start in range(0, len(readable), TOGETHER):
            if not self._closed.is_set():
                self._ask(readable[start : start + TOGETHER])

    def _ask(self, asked: Sequence[tuple[Mirrored, Rows]]) -> None:
        started = time.perf_counter()
        try:
            answered = self.version.predict(joined([rows for _, rows in asked]))
        except Exception as error:  # the shadow is unknown code
            if len(asked) == 1:
                self._fail(error, started)
                return
            for one in asked:
                self._ask([one])
            return
        seconds, at = time.perf_counter() - started, 0
        for request, rows in asked:
            self._ok.add()
            self._seconds["ok"].observe(seconds)
            self._compare(request, answered, at)
            at += len(rows)

    def _fail(self, error: Exception, started: float) -> None:
        log.debug("the shadow failed", exc_info=error)
        self._failed.add()
        self._seconds["failed"].observe(time.perf_counter() - started)

    def _read(self, request: Mirrored) -> Rows | None:
        """The rows of a request as the shadow reads them; none where it refuses them."""
        started = time.perf_counter()
        schema, hooks = self.version.schema, self.version.hooks
        try:
            if hooks is not None:
                body = loads(request.body)
                return schema.decode(hooks.before(requests_of(body, self._max_rows) if request.many else [body]))
            return schema.decode_many(request.body, self._max_rows) if request.many else schema.decode_one(request.body)
        except ServiceError as error:
            self._fail(error, started)
            return None

    def _compare(self, request: Mirrored, answered: Answered, at: int) -> None:
        (primary, start), rows = request.part, request.rows
        ours = Said(request.primary.schema.signature, primary, slice(start, start + rows))
        theirs = Said(self.version.schema.signature, answered, slice(at, at + rows))
        self._disagreements.add(ours.disagreements(theirs))
        for difference in ours.differences(theirs):
            self._difference.observe(difference)


def _tell(loop: asyncio.AbstractEventLoop, callback: Any, done: Future[None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback, done)
