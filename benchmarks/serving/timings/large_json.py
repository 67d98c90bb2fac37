"""10,000 rows of 12 numbers in one JSON request: where parsing and writing numbers is all there is."""

from collections.abc import Sequence

from benchmarks.serving import contenders, race, subjects
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import Plan, Point
from benchmarks.serving.report import Report
from benchmarks.serving.timings.stage import Stage

POINT = Point(rows=10_000, connections=1)
RIVALS = [one for one in contenders.PEERS if one.name in {"kserve", "mlserver"}]
"""The peers that take a whole batch as one tensor or one list."""


def measure(stage: Stage) -> Sequence[Figure]:
    """Milliseconds a request, ours and theirs, and how many times the best of them we are."""
    wide = subjects.prepare("logistic", stage.folder / "wide", features=12)
    taking_part = [modelport.ONNX, *RIVALS]
    results = race.run(Plan(taking_part, [wide], stage.collector, 1, stage.seconds, points=[POINT]))
    report = Report(results, contenders.LIMIT.name, [one.name for one in RIVALS])
    rows = {one.name: report.find(one.name, wide.name, POINT) for one in taking_part}
    ours = rows[modelport.ONNX.name]
    return [
        *(Figure(f"{name}: 10,000 x 12 numbers as JSON", row and row["p50_ms"], "ms") for name, row in rows.items()),
        Figure("ONNX, 10,000 x 12 numbers as JSON: times the best peer", ours and ours["ratio_best_peer"], "", ">=", 1),
    ]
