"""The first request after readiness beside the usual one: warm-up happens before `/health` says 200, or it does not."""

import http.client
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.serving import answers
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.server import Server, running
from benchmarks.serving.timings.stage import Stage

FOLLOWING = 200


def measure(stage: Stage) -> Sequence[Figure]:
    """First over median, of each runtime, as the median of several starts."""
    return [_of(stage, contender.name) for contender in (modelport.ONNX, modelport.SKLEARN)]


def _of(stage: Stage, name: str) -> Figure:
    contender = {one.name: one for one in (modelport.ONNX, modelport.SKLEARN)}[name]
    ratios = []
    for _ in range(stage.rounds):
        with running(contender, stage.subjects["logistic"], stage.collector, ready=answers.is_healthy) as server:
            first, *others = _latencies(server)
        ratios.append(first / median(others))
    return Figure(f"{name}: first request after ready, of the median one", median(ratios), "", "<", 2)


def _latencies(server: Server) -> list[float]:
    """Seconds of each request on one connection, which a probe has opened."""
    ask = server.contender.ask(server.subject.name, server.subject.rows[:1].tolist())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        _seconds(connection, "GET", "/health/live", b"")
        return [_seconds(connection, "POST", ask.path, ask.body) for _ in range(FOLLOWING)]
    finally:
        connection.close()


def _seconds(connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> float:
    began = time.perf_counter()
    connection.request(method, path, body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    return time.perf_counter() - began
