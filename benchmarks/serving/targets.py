"""What Modelport promises of the table, as figures with targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.serving.contenders import LIMIT, modelport, tutorial
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import MAIN, Plan, Point
from benchmarks.serving.report import Report, Row

ONNX, SKLEARN, TUTORIAL = modelport.ONNX.name, modelport.SKLEARN.name, tutorial.CONTENDER.name
A_PEER = "a peer"
LARGE = Point(rows=512)
ALONE = Point(connections=1)
BEST_PEER = {"logistic": 10.0, "forest": 3.0}


@dataclass(frozen=True)
class Target:
    """A promise: how its value is read off the report, the bound, and who must have raced where for it to be judged."""

    name: str
    value: Callable[[Report], float | None]
    how: str
    bound: float
    servers: Sequence[str]
    point: Point = MAIN
    unit: str = ""


def _ratio(field: str, server: str, model: str, point: Point, report: Report) -> float | None:
    row = report.find(server, model, point)
    return row and {"limit": row["ratio_limit"], "peer": row["ratio_best_peer"]}[field]


def _tail(server: str, model: str, report: Report) -> float | None:
    row = report.find(server, model, MAIN)
    return row and row["p99_ms"] / row["p50_ms"]


def _of_best_peer(value: Callable[[Row], float], model: str, report: Report) -> float | None:
    ours, theirs = report.find(ONNX, model, MAIN), report.least_of_peers(model, MAIN, value)
    return value(ours) / theirs if ours and theirs else None


def _beside_tutorial(model: str, report: Report) -> float | None:
    ours, theirs = report.find(SKLEARN, model, MAIN), report.find(TUTORIAL, model, MAIN)
    return ours["rps"] / theirs["rps"] if ours and theirs else None


def _overhead(model: str, report: Report) -> float | None:
    ours, theirs = report.find(SKLEARN, model, ALONE), report.find(TUTORIAL, model, ALONE)
    return ours["p50_ms"] - theirs["p50_ms"] if ours and theirs else None


def _start(row: Row) -> float:
    return row["start_s"]


def _pss(row: Row) -> float:
    return row["pss_mb"]


def _of_model(model: str) -> Sequence[Target]:
    share = partial(_ratio, "limit", ONNX, model, MAIN)
    times = partial(_ratio, "peer", SKLEARN, model, MAIN)
    large = partial(_ratio, "peer", ONNX, model, LARGE)
    start, pss = partial(_of_best_peer, _start, model), partial(_of_best_peer, _pss, model)
    overhead = partial(_overhead, model)
    return (
        Target(f"ONNX, {model}: share of the limit", share, ">=", 0.60, [ONNX, LIMIT.name]),
        Target(f"scikit-learn, {model}: times the best peer", times, ">=", BEST_PEER[model], [SKLEARN, A_PEER]),
        Target(f"ONNX, {model}: p99 over p50", partial(_tail, ONNX, model), "<", 3, [ONNX]),
        Target(f"scikit-learn, {model}: p99 over p50", partial(_tail, SKLEARN, model), "<", 3, [SKLEARN]),
        Target(f"ONNX, {model}: start, of the quickest peer's", start, "<", 1 / 3, [ONNX, A_PEER]),
        Target(f"ONNX, {model}: PSS, of the leanest peer's", pss, "<", 0.5, [ONNX, A_PEER]),
        Target(f"ONNX, {model}: 512 rows a request, times the best peer", large, ">=", 2, [ONNX, A_PEER], LARGE),
        Target(
            f"scikit-learn, {model}: times the tutorial app", partial(_beside_tutorial, model), ">=", 0.9,
            [SKLEARN, TUTORIAL],
        ),
        Target(
            f"scikit-learn, {model}: p50 above the tutorial app's", overhead, "<", 1, [SKLEARN, TUTORIAL], ALONE, "ms"
        ),
    )  # fmt: skip


def judge(report: Report, plan: Plan) -> list[Figure]:
    """Hold every promise against the report; what did not race is not judged, what raced and has no row is a miss."""
    raced = {contender.name for contender in plan.contenders}
    if plan.rounds == 0:
        return []
    raced |= {A_PEER for contender in plan.contenders if contender.peer}
    points = {*plan.points, *plan.curves}
    return [
        Figure(target.name, target.value(report), target.unit, target.how, round(target.bound, 3))
        for subject in plan.subjects
        for target in _of_model(subject.name)
        if raced.issuperset(target.servers) and target.point in points
    ]
