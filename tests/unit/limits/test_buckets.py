"""The arithmetic of buckets: against a plain token bucket, with many callers, over several processes."""

import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_service import records
from model_service.limits.buckets import SETS, WAYS, Buckets
from model_service.limits.limit import Limit
from model_service.limits.settings import Rule

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")


def limit(rate: str = "60/minute", **parts: Any) -> Limit:
    return Limit.of(Rule(per="address", rate=rate, **parts))


def forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def granted(buckets: Buckets, charged: Limit, moments: list[float], caller: str = "one") -> int:
    return sum(buckets.take([(charged, caller)], now)[0] for now in moments)


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 30).map(lambda pause: round(pause, 2)), max_size=60),
)
def test_it_grants_what_a_plain_token_bucket_grants(quota: int, burst: int, pauses: list[float]) -> None:
    charged, buckets = limit(f"{quota}/minute", burst=burst), Buckets()
    now, tokens = 1000.0, float(burst)
    for pause in pauses:
        now += pause
        tokens = min(burst, tokens + pause * quota / 60)
        allowed, _ = buckets.take([(charged, "one")], now)
        if abs(tokens - 1) > 0.01:  # nearer than that, rounding decides
            assert allowed == (tokens >= 1)
        tokens -= allowed


def test_a_burst_then_the_rate() -> None:
    buckets, charged = Buckets(), limit("60/minute", burst=10)
    assert granted(buckets, charged, [1000.0] * 30) == 10
    assert granted(buckets, charged, [1000.5] * 30) == 0
    assert granted(buckets, charged, [1001.0] * 30) == 1
    assert granted(buckets, charged, [1000.0 + second / 10 for second in range(20, 620)]) == 60
    assert granted(buckets, charged, [9000.0] * 30) == 10


def test_burst_is_the_rate_when_it_is_left_out() -> None:
    assert granted(Buckets(), limit("7/day"), [5.0] * 20) == 7


def test_callers_and_limits_have_buckets_of_their_own() -> None:
    buckets, one, other = Buckets(), limit("1/day"), limit("2/day", name="other")
    assert granted(buckets, one, [5.0] * 3, "a") == 1
    assert granted(buckets, one, [5.0] * 3, "b") == 1
    assert granted(buckets, other, [5.0] * 3, "a") == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_request_that_one_limit_refuses_costs_nothing_with_the_other(order: tuple[int, int]) -> None:
    limits = [limit("1/day", name="small"), limit("5/day", name="large")]
    charges = [(limits[index], "a") for index in order]
    buckets = Buckets()
    assert buckets.take(charges, 5.0)[0]
    for _ in range(10):
        allowed, backlogs = buckets.take(charges, 5.0)
        left = dict(zip(order, backlogs, strict=True))
        assert not allowed
        assert left == pytest.approx({0: limits[0].interval, 1: limits[1].interval})
    assert granted(buckets, limits[1], [5.0] * 10, "a") == 4


def test_many_callers_use_no_more_memory_and_the_latest_are_still_known() -> None:
    buckets, charged = Buckets(), limit("1/day")
    callers = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(4 * SETS * WAYS)]
    for moment, caller in enumerate(callers):
        buckets.take([(charged, caller)], 1000.0 + moment / 1000)
    latest = callers[-SETS:]
    known = sum(not buckets.take([(charged, caller)], 1300.0)[0] for caller in latest)
    assert known > 0.97 * len(latest)


def test_processes_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PATIENCE_SECONDS", 60.0)  # a busy machine lets a process wait in the middle of it
    buckets, charged = Buckets(), limit("60000/day")
    read, write = os.pipe()
    begun = multiprocessing.get_context("fork").Barrier(4)  # so that none is done before the others are there

    def work() -> None:
        begun.wait()
        os.write(write, b"%d " % granted(buckets, charged, [5.0] * 30_000))

    children = [forked(work) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert sum(map(int, os.read(read, 999).split())) == 60_000
    assert granted(buckets, charged, [5.0] * 60) == 0
    os.close(read)
    os.close(write)


def test_a_process_that_dies_in_the_middle_stops_nobody() -> None:
    buckets, charged = Buckets(), limit("3/day")
    os.waitpid(forked(buckets._acquire), 0)
    started = time.monotonic()
    assert granted(buckets, charged, [5.0] * 9) == 3
    assert time.monotonic() - started < 60.0


def test_one_that_only_slept_does_no_harm() -> None:
    buckets, charged = Buckets(), limit("3/day")
    buckets._acquire()
    assert granted(buckets, charged, [5.0]) == 1
    buckets._acquire()
    buckets._release()
    assert granted(buckets, charged, [5.0] * 9) == 2


def test_it_says_what_is_left_and_when_there_is_more() -> None:
    buckets, charged = Buckets(), limit("6/minute", burst=3)
    states = [charged.state(buckets.take([(charged, "one")], now)[1][0]) for now in (10, 10, 10, 10, 14)]
    assert [state.partition(b";")[2] for state in states] == [
        b"r=2;t=10",
        b"r=1;t=10",
        b"r=0;t=10",
        b"r=0;t=10",
        b"r=0;t=6",
    ]
