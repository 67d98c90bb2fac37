"""Real servers: workers that share buckets, pods that share a Redis, and a Redis that dies under load."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from support.redis import RedisServer
from support.service import Service, wait_for

from .conftest import to_the_minute

RULES = json.dumps([{"per": "address", "rate": "40/day"}])
MANY = json.dumps([{"per": "address", "rate": "1000000/day"}])
ROW = {"features": [0.0]}
LOGGER = "model_service.limits.shared"


def address(redis_server: RedisServer, password_file: Any) -> dict[str, Any]:
    """Where to count, for a machine that may be busy with other things for a while."""
    return {"redis_url": redis_server.url, "redis_password_file": password_file, "redis_timeout_ms": 5000}


def ask(service: Service) -> int:
    """Over a connection of its own, so that any worker may get it."""
    with urllib3.HTTPConnectionPool("127.0.0.1", service.port, retries=False, timeout=30) as connection:
        status: int = connection.request("POST", "/predict", json=ROW).status
        return status


def ask_often(services: list[Service], times: int) -> "Counter[int]":
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda turn: ask(services[turn % len(services)]), range(times)))


def told(service: Service) -> list[str]:
    return [line["message"] for line in service.lines() if line["logger"] == LOGGER]


def test_workers_count_together(serve: Any) -> None:
    with serve(rules=RULES, workers=3) as service:
        statuses = ask_often([service], 120)
        assert statuses == {200: 40, 429: 80}
        assert service.metrics()["rate_limited_requests_total", ("address",)] == statuses[429]


def test_what_is_left_is_told_whichever_way_a_request_takes(serve: Any) -> None:
    with serve(rules=RULES) as service:
        shown = [{}, {"x-request-timeout-ms": "9000"}, {}]
        answers = [service.request("POST", "/predict", json=ROW, headers=headers) for headers in shown]
        told = [to_the_minute(answer.headers["ratelimit"]) for answer in answers]
        assert told == [f'"address";r={left};t=2160' for left in (39, 38, 37)]
        assert ask_often([service], 60) == {200: 37, 429: 23}
        refused = service.request("POST", "/predict", json=ROW)
        assert (refused.status, refused.json()["error"]) == (429, "rate_limited")
        assert refused.headers["ratelimit-policy"] == '"address";q=40;w=86400'


def test_a_reload_forgets_nothing(serve: Any) -> None:
    with serve(rules=RULES, workers=2) as service:
        assert ask_often([service], 60)[200] == 40
        before = {worker.pid for worker in service.workers()}
        for worker in service.workers():
            worker.kill()
        wait_for(lambda: len({worker.pid for worker in service.workers()} - before) == 2, lambda: "no new workers came")
        service.wait_ready()
        assert ask_often([service], 10) == {429: 10}


def test_pods_count_together(serve: Any, redis_server: RedisServer, password_file: Any) -> None:
    shared = address(redis_server, password_file) | {"rules": RULES, "workers": 2}
    with serve(**shared) as one, serve(**shared) as other:
        for pod in (one, other):
            pod.wait_metric(0.0, "rate_limit_fallback")
        assert ask_often([one, other], 120) == {200: 40, 429: 80}


def test_a_redis_that_dies_under_load_costs_no_request(
    serve: Any, redis_server: RedisServer, password_file: Any
) -> None:
    shared = address(redis_server, password_file) | {"rules": MANY}
    with serve(**shared) as service:
        slowest, statuses, ended = 0.0, Counter[int](), False

        def load() -> None:
            nonlocal slowest
            with urllib3.HTTPConnectionPool("127.0.0.1", service.port, retries=False, timeout=30) as connection:
                while not ended:
                    started = time.perf_counter()
                    statuses[connection.request("POST", "/predict", json=ROW).status] += 1
                    slowest = max(slowest, time.perf_counter() - started)

        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load) for _ in range(4)]
            try:
                for _ in range(2):
                    service.wait_metric(0.0, "rate_limit_fallback")
                    redis_server.kill()
                    service.wait_metric(1.0, "rate_limit_fallback")
                    redis_server.start()
                service.wait_metric(0.0, "rate_limit_fallback")
            finally:
                ended = True
            for each in loads:
                each.result()
        assert set(statuses) == {200}
        assert statuses[200] > 100
        assert slowest < 4.0, "a dead Redis must not be waited for, which takes 5 s; the rest is for a busy machine"
        assert ["does not answer" in line for line in told(service)] == [True, False, True, False]
