"""A trace collector that refuses, or accepts and never answers, must cost a request nothing."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.serving import race
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import MAIN
from benchmarks.serving.server import running
from benchmarks.serving.timings.stage import Stage


def measure(stage: Stage) -> Sequence[Figure]:
    """p99 beside that with a live collector, in percent, as the median of rounds."""
    with _black_hole() as silent, _refusing() as closed:
        ratios: dict[str, list[float]] = {"that refuses": [], "that never answers": []}
        for _ in range(stage.rounds):
            alive = _p99(stage, stage.collector)
            ratios["that refuses"].append(_p99(stage, closed) / alive)
            ratios["that never answers"].append(_p99(stage, silent) / alive)
    return [
        Figure(f"ONNX, logistic: p99 added by a collector {how}", (median(seen) - 1) * 100, "%", "<", 5)
        for how, seen in ratios.items()
    ]


def _p99(stage: Stage, collector: str) -> float:
    with running(modelport.ONNX, stage.subjects["logistic"], collector) as server:
        return race.measure(server, MAIN, stage.seconds).p99_ms


@contextlib.contextmanager
def _black_hole() -> Iterator[str]:
    """An address where connections open and nobody reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def _refusing() -> Iterator[str]:
    """An address that is bound, so that nobody else takes it, and does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
