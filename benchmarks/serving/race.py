"""The rounds: every server is started, checked, loaded and stopped once a round, one after the other.

So a slow minute of the machine hits everybody, and the median over the rounds is of independent starts.
"""

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import answers, progress, wrk
from benchmarks.serving.contender import Contender
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.server import Server, running
from benchmarks.serving.subjects import Subject
from benchmarks.serving.wrk import Load

BODIES = 64
LARGE_BODIES = 8
"""Different bodies in the load, for one row and for many a request."""
WARM_SECONDS = 1


@dataclass(frozen=True, order=True)
class Point:
    """What is asked of a server: rows in a request, connections, and worker processes that answer."""

    rows: int = 1
    connections: int = 32
    workers: int = 1

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.connections} connections, {self.workers} workers"


MAIN = Point()
Key = tuple[str, str]
"""Server and model."""


@dataclass
class Results:
    """What was seen, one entry a round: loads by point, starts (s) and PSS (MB) by workers.

    `refused` has the sentence for everything that may not be reported.
    """

    loads: dict[tuple[Key, Point], list[Load]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[tuple[Key, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    pss: dict[tuple[Key, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: dict[tuple[Key, Point], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Who races on what: `points` in every round, `curves` in the first `curve_rounds` and for half as long."""

    contenders: Sequence[Contender]
    subjects: Sequence[Subject]
    collector: str
    rounds: int
    seconds: float
    points: Sequence[Point] = (MAIN,)
    curves: Sequence[Point] = ()
    curve_rounds: int = 3


def run(plan: Plan) -> Results:
    """Run every round of the plan."""
    results = Results()
    for number in range(plan.rounds):
        points = [*plan.points, *(plan.curves if number < plan.curve_rounds else ())]
        for subject in plan.subjects:
            for contender in plan.contenders:
                for workers in sorted({point.workers for point in points if point.workers <= contender.most_workers}):
                    _visit(plan, results, contender, subject, [at for at in points if at.workers == workers])
                summary = _summary(results, contender, subject, points[0])
                progress.say(f"round {number + 1} of {plan.rounds}: {summary}")
    return results


def _summary(results: Results, contender: Contender, subject: Subject, point: Point) -> str:
    seen = results.loads.get(((contender.name, subject.name), point))
    outcome = f"{seen[-1].rps:,.0f} req/s" if seen else "no figure"
    return f"{contender.name}, {subject.name}: {outcome}"


def _visit(plan: Plan, results: Results, contender: Contender, subject: Subject, points: Sequence[Point]) -> None:
    """One start of one server, and all that is measured during it; what fails is refused, and the rest goes on."""
    key, workers = (contender.name, subject.name), points[0].workers
    try:
        with running(contender, subject, plan.collector, workers=workers) as server:
            results.starts[key, workers].append(server.start_s)
            for point in points:
                _measure_into(results, plan, server, point)
                if point == points[0]:
                    results.pss[key, workers].append(server.pss_mb())
    except BenchmarkError as error:
        _refuse(results, key, points, error)


def _measure_into(results: Results, plan: Plan, server: Server, point: Point) -> None:
    key = (server.contender.name, server.subject.name)
    try:
        load = measure(server, point, plan.seconds if point in plan.points else plan.seconds / 2)
        results.loads[key, point].append(load)
    except BenchmarkError as error:
        _refuse(results, key, [point], error)


def _refuse(results: Results, key: Key, points: Sequence[Point], error: BenchmarkError) -> None:
    results.refused.update({(key, point): str(error) for point in points})
    progress.say(f"NO REPORT of {', '.join(key)} at {', '.join(map(str, points))}: {error}")


def measure(server: Server, point: Point, seconds: float) -> Load:
    """Compare the answers with the estimator's, warm up, measure, compare again.

    Raises:
        WrongAnswer: the server and the estimator disagree.
        FailedRequests: any answer was not 200.
    """
    subject = server.subject
    asks = [
        server.contender.ask(subject.name, subject.rows[subject.take(start, point.rows)].tolist())
        for start in range(BODIES if point.rows == 1 else LARGE_BODIES)
    ]
    answers.check_all(server, point.rows)
    with tempfile.TemporaryDirectory(prefix="modelport-load-") as folder:
        wrk.run(server.url, asks, point.connections, WARM_SECONDS, Path(folder), point.workers)
        load = wrk.run(server.url, asks, point.connections, seconds, Path(folder), point.workers)
    answers.check_all(server, point.rows)
    return load
