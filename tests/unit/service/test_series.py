"""Numbers in shared memory: exact over workers, over their deaths, and never more memory than at the start."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from support.batching import samples

from model_service.board import Board, State
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.prometheus import expose
from model_service.telemetry.series import REGION_BYTES, SharedSeries
from model_service.telemetry.totals import Totals

BUCKETS = (0.1, 1.0)
DURATION, REQUESTS = "model_queue_duration_seconds", "model_requests_cancelled_total"


class Pod:
    """The shared memory of some workers, and what a scrape says of it."""

    def __init__(self, workers: int = 2) -> None:
        self.board = Board(workers)
        self.series = SharedSeries(len(self.board.slots))
        self._totals = Totals(self.series, self.board, BUCKETS)

    def worker(self) -> tuple[int, Metrics]:
        slot = self.board.claim()
        self.board.write(slot, State.READY)
        return slot, Metrics(self.series, slot, BUCKETS)

    def scrape(self) -> dict[tuple[str, tuple[str, ...]], float]:
        return samples(expose(self._totals, "")[0].decode())


@pytest.fixture
def pod() -> Pod:
    return Pod()


def forked(work: Callable[[], None]) -> int | None:
    """Run in a child process, as workers are; gives how it ended."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode


def test_workers_add_up_also_those_that_were_killed(pod: Pod) -> None:
    slots = []
    for worker in range(3):
        slot, metrics = pod.worker()
        slots.append(slot)

        def work(metrics: Metrics = metrics, worker: int = worker) -> None:
            for _ in range(10):
                metrics.counter(REQUESTS, "m", "1").add()
                metrics.histogram(DURATION, "m", "1").observe(0.05 + worker)
            metrics.gauge("model_requests_in_flight").add(5)
            os.kill(os.getpid(), signal.SIGKILL)

        assert forked(work) == -signal.SIGKILL
    before = pod.scrape()
    assert before["model_requests_in_flight", ()] == 15  # nobody has noticed yet
    for slot in slots[:2]:
        pod.board.release(slot)
    found = pod.scrape()
    assert found[REQUESTS, ("m", "1")] == 30
    assert found[f"{DURATION}_count", ("m", "1")] == 30
    assert found[f"{DURATION}_sum", ("m", "1")] == pytest.approx(10 * (0.05 + 1.05 + 2.05))
    assert [found[f"{DURATION}_bucket", ("m", "1", bound)] for bound in ("0.1", "1.0", "+Inf")] == [10, 10, 30]
    assert found["model_requests_in_flight", ()] == 5
    assert found["service_workers", ("live",)] == 1


def test_a_worker_goes_on_counting_where_the_last_one_of_its_slot_was_killed(pod: Pod) -> None:
    slot, first = pod.worker()
    first.counter(REQUESTS, "m", "1").add(7)
    first.gauge("model_requests_in_flight").add(3)
    first.gauge("model_load_duration_seconds", "m", "1").set(9)
    pod.board.release(slot)
    again, second = pod.worker()
    assert again == slot
    second.counter(REQUESTS, "m", "1").add()
    second.gauge("model_load_duration_seconds", "m", "1").set(2)
    found = pod.scrape()
    assert found[REQUESTS, ("m", "1")] == 8
    assert found["model_requests_in_flight", ()] == 0
    assert found["model_load_duration_seconds", ("m", "1")] == 2


def test_a_gauge_is_a_sum_or_the_largest_as_its_metric_says(pod: Pod) -> None:
    for value in (2.0, 5.0, 3.0):
        _, metrics = pod.worker()
        metrics.gauge("model_load_duration_seconds", "m", "1").set(value)
        metrics.gauge("model_ready", "m", "1").set(1)
    found = pod.scrape()
    assert found["model_load_duration_seconds", ("m", "1")] == 5
    assert found["model_ready", ("m", "1")] == 3


def test_five_hundred_recycled_workers_leave_nothing_behind(pod: Pod) -> None:
    alive = [pod.worker(), pod.worker()]
    sizes, counts, keys = set(), [], set()
    for recycle in range(500):
        slot, metrics = alive.pop(0)
        metrics.counter(REQUESTS, "m", "1").add()
        metrics.gauge("model_requests_in_flight").add()
        metrics.histogram("http_server_request_duration_seconds", "POST", "/predict", "200").observe(0.5)
        pod.board.release(slot)
        alive.append(pod.worker())
        if recycle >= 10:
            found = pod.scrape()
            counts.append(found[REQUESTS, ("m", "1")])
            keys.add(frozenset(found))
            sizes.add(sum(len(list(pod.series.read(each))) for each in pod.board.slots))
    assert counts == [float(recycle + 1) for recycle in range(10, 500)]
    assert len(sizes) == len(keys) == 1
    assert pod.scrape()["model_requests_in_flight", ()] == 0


def test_a_region_that_is_full_says_so_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    series = SharedSeries(2)
    metrics = Metrics(series, 0, BUCKETS)
    fits = metrics.counter("model_requests_cancelled_total", "fits", "1")
    with caplog.at_level(logging.WARNING):
        for number in range(REGION_BYTES // 1000):
            metrics.counter(REQUESTS, "x" * 1000, str(number)).add()
    assert "no room is left for the metric" in caplog.text
    fits.add()
    metrics.counter(REQUESTS, "too", "late").add()  # counted nowhere, and harmless
    told = {bytes(key): list(cells) for key, cells in series.read(0)}
    assert told[b'["model_requests_cancelled_total","fits","1"]'] == [1.0]
    assert all(values == [1.0] for values in told.values())
    assert list(series.read(1)) == []


def test_keys_of_any_length_lie_side_by_side() -> None:
    series = SharedSeries(1)
    rows: list[Any] = [series.find_or_add(0, b"k" * length, length) for length in range(1, 40)]
    for row in rows:
        for index in range(len(row)):
            row[index] = len(row)
    assert [(len(key), set(cells)) for key, cells in series.read(0)] == [
        (length, {float(length)}) for length in range(1, 40)
    ]
    assert series.find_or_add(0, b"kkk", 3).tolist() == [3.0] * 3
