"""A batcher with a model that a test can hold back, and what both of them did."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop
from prometheus_client.parser import text_string_to_metric_families

from model_artifact.coercion import Row
from model_service.batch import Answered, Limits
from model_service.batching import Batcher
from model_service.board import Board
from model_service.telemetry.batches import BatchTelemetry
from model_service.telemetry.metrics import METRICS, Metrics
from model_service.telemetry.prometheus import expose
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.totals import Totals

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATIENCE = 30.0
NEVER = 3600.0
"""Seconds to a deadline that plays no part: one slow call would make a short queue look longer than patience."""
BUCKETS = (0.1, 1.0)


def run(loop: str, work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end on a loop of the named kind, and no longer than patience lasts."""

    async def bounded() -> Any:
        return await asyncio.wait_for(work, PATIENCE)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(bounded())


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """A scrape: values by name and label values, these in the table's order and then a bucket's bound."""
    order = {metric.name.removesuffix("_total"): (*metric.labels, "le") for metric in METRICS}
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names = [name for name in order.get(family.name, sample.labels) if name in sample.labels]
            found[sample.name, tuple(sample.labels[name] for name in names)] = sample.value
    return found


class Model:
    """Answers a row with thrice its first value, plus one; while it is held, calls do not end."""

    def __init__(self) -> None:
        self.calls: list[list[Row]] = []
        self.seconds: list[float] = []
        self.refuses: set[Any] = set()
        self._free = threading.Event()
        self._free.set()
        self._entered = threading.Semaphore(0)

    def __call__(self, rows: list[Row]) -> Answered:
        self.calls.append(rows)
        self._entered.release()
        started = time.perf_counter()
        assert self._free.wait(PATIENCE)
        self.seconds.append(time.perf_counter() - started)
        if self.refuses.intersection(row[0] for row in rows):
            raise ValueError("a row that it does not like")
        return Answered([self.answer(row) for row in rows], None)

    @staticmethod
    def answer(row: Row) -> float:
        return float(row[0] * 3.0 + 1.0)

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    async def entered(self) -> None:
        """Wait for one more call to begin."""
        assert await asyncio.to_thread(self._entered.acquire, timeout=PATIENCE)

    @property
    def seen(self) -> list[Any]:
        """The first value of every row that reached it."""
        return [row[0] for call in self.calls for row in call]


async def stays() -> None:
    """A client that waits for its answer."""
    await asyncio.Event().wait()


class Bench:
    """One batcher around one model; `deaths` is what it said when it broke."""

    def __init__(
        self, model: Callable[[list[Row]], Answered], telemetry: type[BatchTelemetry] = BatchTelemetry, **limits: Any
    ) -> None:
        given = {
            "share": True,
            "batch_rows": 64,
            "queue_rows": 1000,
            "window": 0.0,
            "inline_rows": 0,
            "stuck_seconds": 60.0,
        }
        self._board = Board(1)
        self._board.claim()
        self._series = SharedSeries(len(self._board.slots))
        metrics = Metrics(self._series, 0, BUCKETS)
        self.deaths: list[str] = []
        self.telemetry = telemetry(metrics, None, "m", "1")
        self.batcher = Batcher(model, Limits(**given | limits), self.telemetry, self.deaths.append)

    async def submit(
        self, *values: float, seconds: float = NEVER, gone: Callable[[], Awaitable[None]] = stays
    ) -> list[Any]:
        """Send a request of one row a value; gives its own answers."""
        rows: list[Row] = [[value] for value in values]
        answered, start = await self.batcher.submit(rows, time.perf_counter() + seconds, gone)
        return answered.predictions[start : start + len(rows)]

    def send(self, *values: float, **options: Any) -> "asyncio.Task[list[Any]]":
        """Send without waiting for the answer."""
        return asyncio.create_task(self.submit(*values, **options))

    def metric(self, name: str, *labels: str) -> float:
        """A number of this model, as a scrape tells it."""
        text = expose(Totals(self._series, self._board, BUCKETS), "")[0].decode()
        return samples(text).get((name, ("m", "1", *labels)), 0.0)
