"""A request of 100 rows on its own must not care whether batching is on: it is one call of the model either way."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.serving import race
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import Point
from benchmarks.serving.server import running
from benchmarks.serving.timings.stage import Stage

POINT = Point(rows=100, connections=1)
OFF = {"MODELPORT_BATCHING": "false"}


def measure(stage: Stage) -> Sequence[Figure]:
    """Median latency with batching off, over that with batching on, in rounds."""
    ratios = [_p50(stage, OFF) / _p50(stage, {}) for _ in range(stage.rounds)]
    name = "scikit-learn runtime, forest, 100 rows alone: p50 with batching off, of that with it on"
    return [Figure(name, median(ratios), "", "<", 1.1)]


def _p50(stage: Stage, extra: Mapping[str, str]) -> float:
    with running(modelport.SKLEARN, stage.subjects["forest"], stage.collector, extra=extra) as server:
        return race.measure(server, POINT, stage.seconds / 2).p50_ms
