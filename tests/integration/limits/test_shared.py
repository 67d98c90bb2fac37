"""Buckets in a real Redis that dies, freezes, forgets and comes back."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis
from support.redis import RedisServer

from model_service.errors import SettingsInvalid
from model_service.limits.limit import Limit
from model_service.limits.settings import LimitsSettings, Rule
from model_service.limits.shared import SharedBuckets
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.series import SharedSeries

from .conftest import to_the_minute

TEN = Limit.of(Rule(per="address", rate="10/day"))
TWO = Limit.of(Rule(per="address", rate="2/day", name="two"))
PATIENCE = 60.0
LIMIT = 1.0


def no_metrics() -> Metrics:
    return Metrics(SharedSeries(1), 0, (1.0,))


def run(
    settings: LimitsSettings, test: Callable[..., Awaitable[None]], pods: int = 1, metrics: Metrics | None = None
) -> None:
    """Give `test` the buckets of so many pods."""

    async def started() -> None:
        buckets = [SharedBuckets(settings, metrics or no_metrics()) for _ in range(pods)]
        for each in buckets:
            await each.start()
        try:
            await test(*buckets)
        finally:
            for each in buckets:
                await each.stop()

    asyncio.run(started())
    return metrics


async def until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)


async def back(buckets: SharedBuckets) -> None:
    await until(lambda: buckets.answers, "the Redis was not found again")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "model_service.limits.shared"]


def fallback(metrics: Metrics) -> float:
    (value,) = metrics.cells("rate_limit_fallback", (), 1)
    return value


@pytest.fixture
def settings(redis_server: RedisServer, password_file: Path) -> LimitsSettings:
    """With the longest wait there is, for a machine that may be busy with other things for a while."""
    given = {"redis_url": redis_server.url, "redis_password_file": password_file, "redis_timeout_ms": 5000}
    return LimitsSettings.model_validate(given)


def test_pods_count_together_however_many_ask_at_once(settings: LimitsSettings) -> None:
    async def test(*pods: SharedBuckets) -> None:
        answers = await asyncio.gather(*(pods[turn % 3].take([(TEN, "a")]) for turn in range(60)))
        assert [answer is not None for answer in answers] == [True] * 60
        assert sum(answer[0] for answer in answers if answer) == 10

    run(settings, test, pods=3)


def test_it_tells_what_is_left_as_local_buckets_do(settings: LimitsSettings) -> None:
    async def test(buckets: SharedBuckets) -> None:
        states = []
        for _ in range(3):
            taken = await buckets.take([(TWO, "a"), (TEN, "a")])
            assert taken is not None
            shown = [limit.state(backlog).decode() for limit, backlog in zip((TWO, TEN), taken[1], strict=True)]
            states.append((taken[0], *map(to_the_minute, shown)))
        assert states == [
            (True, '"two";r=1;t=43200', '"address";r=9;t=8640'),
            (True, '"two";r=0;t=43200', '"address";r=8;t=8640'),
            (False, '"two";r=0;t=43200', '"address";r=8;t=8640'),
        ]

    run(settings, test)


def test_keys_are_named_for_the_service_and_do_not_stay(settings: LimitsSettings, redis_server: RedisServer) -> None:
    async def test(buckets: SharedBuckets) -> None:
        await buckets.take([(TEN, "a")])
        await buckets.take([(TEN, "a" * 60_000)])
        assert await buckets.take([(TEN, "\ud800")])

    run(settings.model_copy(update={"redis_prefix": "shop/churn"}), test)
    with redis.Redis(port=redis_server.port, password=redis_server.password) as client:
        keys = client.keys()
        assert len(keys) == 3
        assert b"shop/churn:address:a" in keys
        assert max(map(len, keys)) == len("shop/churn:address:") + 64
        assert 8640 - 60 < client.ttl("shop/churn:address:a") <= 8640


def test_a_redis_that_dies_and_comes_back(
    settings: LimitsSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics = no_metrics()

    async def test(buckets: SharedBuckets) -> None:
        assert await buckets.take([(TEN, "a")])
        redis_server.kill()
        assert await asyncio.gather(*(buckets.take([(TEN, "a")]) for _ in range(5))) == [None] * 5
        assert not buckets.answers
        assert fallback(metrics) == 1.0
        redis_server.start()
        await back(buckets)
        assert await buckets.take([(TEN, "a")])

    run(settings, test, metrics=metrics)
    lost, found = told(caplog)
    assert "does not answer" in lost
    assert "counts on its own" in lost
    assert "answers again" in found
    assert fallback(metrics) == 0.0


def test_nobody_waits_longer_than_the_limit_for_one_that_hangs(
    settings: LimitsSettings, redis_server: RedisServer
) -> None:
    async def timed(buckets: SharedBuckets, after: float) -> float:
        await asyncio.sleep(after)
        started = time.perf_counter()
        assert await buckets.take([(TEN, "a")]) is None
        return time.perf_counter() - started

    async def test(buckets: SharedBuckets) -> None:
        redis_server.freeze()
        waits = await asyncio.gather(*(timed(buckets, turn / 1000) for turn in range(40)))
        assert max(waits) < 5 * LIMIT, "two round trips, the second for all who came meanwhile; not one for each"
        redis_server.thaw()
        await back(buckets)

    run(settings.model_copy(update={"redis_timeout_ms": LIMIT * 1000}), test)


def test_a_connection_that_was_closed_for_idleness_costs_nothing(
    settings: LimitsSettings, redis_server: RedisServer
) -> None:
    async def test(buckets: SharedBuckets) -> None:
        with redis.Redis(port=redis_server.port, password=redis_server.password) as client:
            for _ in range(3):
                assert await buckets.take([(TEN, "a")])
                assert client.client_kill_filter(_type="normal", skipme=True) == 1
                await asyncio.sleep(0.1)
        assert buckets.answers

    run(settings, test)


def test_a_script_that_is_flushed_is_loaded_again(settings: LimitsSettings, redis_server: RedisServer) -> None:
    async def test(buckets: SharedBuckets) -> None:
        with redis.Redis(port=redis_server.port, password=redis_server.password) as client:
            client.script_flush()
        assert await buckets.take([(TEN, "a")]) is None
        await back(buckets)
        assert await buckets.take([(TEN, "a")])

    run(settings, test)


def test_one_that_is_full_is_left_alone_until_it_is_not(
    settings: LimitsSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def test(buckets: SharedBuckets) -> None:
        with redis.Redis(port=redis_server.port, password=redis_server.password) as client:
            client.config_set("maxmemory", 1)
            assert await buckets.take([(TEN, "a")]) is None
            await until(lambda: client.info("errorstats")["errorstat_OOM"]["count"] >= 3, "it was not asked again")
            assert len(told(caplog)) == 1, "it is asked again, and found wanting without a word"
            client.config_set("maxmemory", 0)
        await back(buckets)
        assert await buckets.take([(TEN, "a")])

    run(settings, test)


def test_one_that_is_not_there_at_the_start_is_found_later(
    settings: LimitsSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.kill()

    async def test(buckets: SharedBuckets) -> None:
        assert not buckets.answers
        redis_server.start()
        await back(buckets)

    run(settings, test)
    assert "does not answer" in told(caplog)[0]


def test_a_wrong_password_is_told_and_not_shown(
    settings: LimitsSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wrong").write_text("canary")

    async def test(buckets: SharedBuckets) -> None:
        assert not buckets.answers

    run(settings.model_copy(update={"redis_password_file": tmp_path / "wrong"}), test)
    (line,) = told(caplog)
    assert "password" in line
    assert "canary" not in line


def test_a_password_may_change(settings: LimitsSettings, redis_server: RedisServer, password_file: Path) -> None:
    def change() -> None:
        redis_server.kill()
        redis_server.password = "another"
        password_file.write_text(redis_server.password)

    async def test(buckets: SharedBuckets) -> None:
        change()
        assert await buckets.take([(TEN, "a")]) is None
        redis_server.start()
        await back(buckets)
        assert await buckets.take([(TEN, "a")])

    run(settings, test)


def test_a_password_that_cannot_be_read_stops_the_start(settings: LimitsSettings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"redis_password_file": tmp_path / "nowhere"})
    with pytest.raises(SettingsInvalid, match=r"REDIS_PASSWORD_FILE: .*nowhere cannot be read"):
        SharedBuckets(missing, no_metrics())
