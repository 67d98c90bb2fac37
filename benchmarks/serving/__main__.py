"""The command: train, race, report, judge."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving import contenders, cores, environments, output, progress, race, subjects, targets, wrk
from benchmarks.serving.collector import collecting
from benchmarks.serving.errors import BenchmarkError
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import Plan, Point
from benchmarks.serving.report import Report
from benchmarks.serving.timings import TIMINGS
from benchmarks.serving.timings.stage import Stage

CURVES = (
    *(Point(connections=connections) for connections in (1, 8, 128)),
    *(Point(rows=rows) for rows in (8, 64, 512)),
    Point(workers=2),
)
PARTS = ("table", "curves", *TIMINGS)
QUICK = {
    "only": ["limit", *(one.name for one in contenders.OURS)],
    "models": ["logistic"],
    "parts": ["table"],
    "rounds": 3,
    "seconds": 3,
}
WHOLE = {
    "only": list(contenders.BY_NAME),
    "models": list(subjects.ESTIMATORS),
    "parts": list(PARTS),
    "rounds": 5,
    "seconds": 5,
}
DESCRIPTION = """\
Measure Modelport beside its peers and beside the limit, in one run.

Every round starts each server afresh, pinned to the first core, compares its answers with the estimator's, loads it
with wrk from another core, and stops it. Figures are medians over the rounds, ratios are taken within a round. A server
that answers anything but 200, or wrongly, is not reported and the exit code is 1.
"""
EPILOG = """\
examples:
  python -m benchmarks.serving                                 everything (about an hour)
  python -m benchmarks.serving --quick                         ours and the limit, one model (a minute)
  python -m benchmarks.serving --only limit modelport-onnx kserve --rounds 3
  python -m benchmarks.serving --parts table --models logistic  no curves and no timings
  python -m benchmarks.serving --parts soak overload           some timings only
  python -m benchmarks.serving --check                         exit code 1 when a target is missed

`make bench` and `make bench-quick` run it under a lock, so that two never disturb each other. Results go to
benchmarks/results/; benchmarks/README.md describes the method and the settings of every peer.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; `--quick` fills in what was not said."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="ours and the limit, one model, three short rounds")
    parser.add_argument("--only", nargs="+", choices=contenders.BY_NAME, metavar="NAME", help="these servers only")
    parser.add_argument("--models", nargs="+", choices=subjects.ESTIMATORS, metavar="NAME", help="logistic, forest")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of the table (5)")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of one load (5)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)} (all; --quick: the table)"
    )
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    given = parser.parse_args(arguments)
    for name, value in (QUICK if given.quick else WHOLE).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    return given


def results_name(given: argparse.Namespace) -> str:
    """Which results file a run may replace: `serving` is kept for the whole race, `quick` and `part` are scratch."""
    if given.quick:
        return "quick"
    everyone = set(given.only) == set(WHOLE["only"]) and set(given.models) == set(WHOLE["models"])
    return "serving" if everyone and {"table", "curves"} <= set(given.parts) else "part"


def main() -> None:
    """Run what was asked for."""
    given = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that no server is left behind
    progress.ending(lambda: _bench(given))


def _bench(given: argparse.Namespace) -> int:
    wrk.require()
    chosen = [contenders.BY_NAME[name] for name in given.only]
    for contender in chosen:
        environments.python_of(contender.environment)
    cores.keep_out_of_the_way()
    with tempfile.TemporaryDirectory(prefix="modelport-bench-") as folder, collecting() as collector:
        progress.say("training and packing")
        trained = {name: subjects.prepare(name, Path(folder)) for name in subjects.ESTIMATORS}
        plan = _plan(given, [trained[name] for name in given.models], collector)
        results = race.run(plan)
        report = Report(results, contenders.LIMIT.name, [peer.name for peer in contenders.PEERS])
        figures = targets.judge(report, plan)
        stage = Stage(trained, Path(folder), collector, given.rounds, given.seconds)
        figures += _timings([part for part in given.parts if part in TIMINGS], stage)
    output.write(results_name(given), report, results, plan, figures)
    missed = [figure for figure in figures if figure.holds is False]
    return 1 if results.refused or (given.check and missed) else 0


def _plan(given: argparse.Namespace, models: Sequence[subjects.Subject], collector: str) -> Plan:
    """The race; without rounds when neither the table nor its curves are asked for."""
    chosen = [contenders.BY_NAME[name] for name in given.only]
    rounds = given.rounds if {"table", "curves"} & set(given.parts) else 0
    curves = CURVES if "curves" in given.parts else ()
    return Plan(chosen, models, collector, rounds, given.seconds, curves=curves)


def _timings(parts: Sequence[str], stage: Stage) -> list[Figure]:
    """The figures of these timings; one that cannot be measured is a miss, and the rest goes on."""
    figures: list[Figure] = []
    for part in parts:
        progress.say(f"timing: {part}")
        try:
            figures += TIMINGS[part](stage)
        except BenchmarkError as error:
            progress.say(f"NO REPORT of {part}: {error}")
            figures.append(Figure(f"{part}: could not be measured", None, "", ">=", 0))
    return figures


if __name__ == "__main__":
    main()
