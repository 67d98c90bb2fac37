"""Medians, ratios within a round, refusals, targets and the tables that show them."""

from types import SimpleNamespace

import pytest
from benchmarks.serving import figures, report, targets
from benchmarks.serving.contenders import ALL, LIMIT, PEERS, modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import MAIN, Plan, Point, Results
from benchmarks.serving.report import Report
from benchmarks.serving.wrk import Load

SPEEDS = {
    "limit": [1000.0, 500.0, 1000.0],
    "modelport-onnx": [700.0, 300.0, 600.0],
    "modelport-sklearn": [500.0, 200.0, 400.0],
    "kserve": [50.0, 20.0, 40.0],
    "mlserver": [25.0, 10.0, 20.0],
    "tutorial": [30.0, 30.0, 30.0],
}


def results():
    seen = Results()
    for server, speeds in SPEEDS.items():
        key = (server, "logistic")
        seen.loads[key, MAIN] = [Load(100, rps, 2.0, 5.0) for rps in speeds]
        seen.starts[key, 1] = [9.0, 1.0, 2.0]
        seen.pss[key, 1] = [100.0, 120.0, 110.0]
    return seen


def made(seen):
    return Report(seen, LIMIT.name, [peer.name for peer in PEERS])


def plan(*names, points=(MAIN,), rounds=3):
    chosen = [one for one in ALL if one.name in names]
    return Plan(chosen, [SimpleNamespace(name="logistic")], "", rounds, 1, points=points)


def test_a_row_has_medians_and_the_median_of_the_ratios_of_each_round():
    row = made(results()).find("modelport-onnx", "logistic", MAIN)
    assert (row["rps"], row["start_s"], row["pss_mb"]) == (600.0, 2.0, 110.0)
    assert row["ratio_limit"] == 0.6
    assert row["ratio_best_peer"] == 15.0, "against kserve, the faster peer"


def test_rows_have_exactly_the_settled_columns():
    wanted = "server model rows connections workers rps ratio_limit ratio_best_peer p50_ms p99_ms start_s pss_mb"
    assert all(list(row) == wanted.split() for row in made(results()).rows)


def test_what_was_refused_has_no_row_and_is_no_peer_to_beat():
    seen = results()
    seen.refused[("kserve", "logistic"), MAIN] = "kserve answered 500"
    found = made(seen)
    assert found.find("kserve", "logistic", MAIN) is None
    assert found.find("modelport-onnx", "logistic", MAIN)["ratio_best_peer"] == 30.0


def test_without_the_limit_and_peers_there_are_no_ratios():
    seen = results()
    for server in ("limit", "kserve", "mlserver"):
        del seen.loads[(server, "logistic"), MAIN]
    row = made(seen).find("modelport-onnx", "logistic", MAIN)
    assert (row["ratio_limit"], row["ratio_best_peer"]) == (None, None)
    assert " - " in report.table([row])


def judged(seen, **wanted):
    return {one.name: one for one in targets.judge(made(seen), plan(*SPEEDS, **wanted))}


def test_targets_are_held_against_the_rows():
    found = judged(results())
    assert found["ONNX, logistic: share of the limit"].holds is True
    assert found["scikit-learn, logistic: times the best peer"].value == 10.0
    assert found["ONNX, logistic: p99 over p50"].holds is True
    assert found["ONNX, logistic: start, of the quickest peer's"].holds is False
    assert found["scikit-learn, logistic: times the tutorial app"].value == pytest.approx(400 / 30)


def test_what_did_not_race_is_not_judged_and_what_was_refused_is_missed():
    seen = results()
    seen.refused[("modelport-onnx", "logistic"), MAIN] = "wrong answer"
    found = judged(seen)
    assert found["ONNX, logistic: share of the limit"].holds is False
    assert not [name for name in found if "512 rows" in name]
    assert [name for name in judged(seen, points=(MAIN, Point(rows=512))) if "512 rows" in name]
    assert targets.judge(made(seen), plan(modelport.ONNX.name, rounds=0)) == []


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 2.0, "ms", "<", 3), "pass"),
        (Figure("a", 3.0, "ms", "<", 3), "MISS"),
        (Figure("a", 3.0, "", "<=", 3), "pass"),
        (Figure("a", 3.0, "", ">=", 3), "pass"),
        (Figure("a", None, "", ">=", 3), "MISS"),
        (Figure("a", 3.0), "-"),
    ],
)
def test_each_figure_has_a_verdict(figure, verdict):
    assert figures.table([figure]).splitlines()[1].split()[0] == verdict
    assert figure.as_json()["holds"] == {"pass": True, "MISS": False, "-": None}[verdict]


def test_a_limit_that_varies_is_told():
    assert "from 500 to 1,000 req/s" in report.noise(results(), LIMIT.name)
    calm = results()
    calm.loads[("limit", "logistic"), MAIN] = [Load(100, rps, 2.0, 5.0) for rps in (1000.0, 1100.0)]
    assert report.noise(calm, LIMIT.name) == ""


def test_the_spread_names_the_least_and_the_most():
    assert any("300 to 700 req/s in 3 rounds" in line for line in report.spread(results()))
