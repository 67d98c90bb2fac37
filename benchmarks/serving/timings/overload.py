"""Three times what the server can do: what it takes must be in time, and what it does not take must be told at once.

Batches of the forest under scikit-learn are capped at one row: the model, and not HTTP, is what is short, and one core
can offer three times the capacity. The queue is sized for the deadline, as docs/serving.md advises.
"""

from collections.abc import Sequence
from statistics import quantiles

from benchmarks.serving import openloop, progress, race
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.openloop import Outcome
from benchmarks.serving.race import Point
from benchmarks.serving.server import Server, running
from benchmarks.serving.timings.stage import Stage

DEADLINE_MS = 1000
SETTINGS = {"MODELPORT_BATCH_MAX_ROWS": "1", "MODELPORT_QUEUE_MAX_ROWS": "512"}
SHED = (429, 503)
TIMES = 3


def measure(stage: Stage) -> Sequence[Figure]:
    """p99 of what was accepted, p99 of what was shed, and that nothing else happened."""
    with running(modelport.SKLEARN, stage.subjects["forest"], stage.collector, extra=SETTINGS) as server:
        capacity = race.measure(server, Point(connections=64), stage.seconds).rps
        outcome = _offer(server, capacity * TIMES, stage.seconds)
    counts = {status: len(seen) for status, seen in sorted(outcome.latencies.items())}
    progress.say(f"overload: capacity {capacity:,.0f} req/s, offered {outcome.sent:,}, answered {counts}")
    shed = [latency for status in SHED for latency in outcome.latencies.get(status, [])]
    answered = len(outcome.latencies.get(200, [])) + len(shed)
    return [
        Figure("overload: offered, of the capacity", outcome.sent / stage.seconds / capacity, "", ">=", 2.8),
        Figure("overload: p99 of what is accepted", _p99_ms(outcome.latencies.get(200, [])), "ms", "<=", DEADLINE_MS),
        Figure("overload: accepted, of the capacity", counts.get(200, 0) / stage.seconds / capacity),
        Figure("overload: p99 of what is shed", _p99_ms(shed), "ms", "<", 10),
        Figure("overload: neither answered nor shed", float(outcome.sent - answered), "requests", "<=", 0),
    ]


def _offer(server: Server, rate: float, seconds: float) -> Outcome:
    asks = [server.contender.ask(server.subject.name, [row]) for row in server.subject.rows.tolist()]
    return openloop.offer(server.port, asks, rate, seconds, f"X-Request-Timeout-Ms: {DEADLINE_MS}\r\n")


def _p99_ms(latencies: Sequence[float]) -> float | None:
    return quantiles(latencies, n=100)[98] * 1e3 if len(latencies) > 1 else None
