"""What a version predicts, held against what was predicted for its training sample."""

import logging
import multiprocessing
import socket
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression
from support.batching import samples

from model_artifact.bundle import Bundle, open_bundle
from model_artifact.samples import parse_baseline
from model_service.batch import Answered
from model_service.board import Board, State
from model_service.runtimes.base import Answers
from model_service.scores import HALF_WINDOW, VECTOR_ROWS, ScoreCounter
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.prometheus import expose
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.shift import LEAST_PREDICTIONS, stability_index
from model_service.telemetry.statsd import StatsD
from model_service.telemetry.totals import Totals
from modelport import pack

SCORE, CLASSES, SHIFT = "model_prediction_score", "model_predictions_total", "model_score_shift"
SAMPLE = 2000


class Pod:
    """Workers that share their series, and what a scrape of any of them says."""

    def __init__(self, bundle: Bundle, workers: int = 1) -> None:
        self.bundle, self.board = bundle, Board(workers)
        self.series = SharedSeries(len(self.board.slots))
        self.slots = [self.board.claim() for _ in range(workers)]
        for slot in self.slots:
            self.board.write(slot, State.READY)
        self.totals = Totals(self.series, self.board, (1.0,))

    def counter(self, worker: int = 0) -> ScoreCounter:
        signature = self.bundle.manifest.signature
        assert signature is not None
        return ScoreCounter(self.bundle, signature, Metrics(self.series, self.slots[worker], (1.0,)))

    def scrape(self) -> dict[tuple[str, tuple[str, ...]], float]:
        return samples(expose(self.totals, "")[0].decode())

    def shift(self) -> float | None:
        return self.scrape().get((SHIFT, ("m", "1")))


def in_batches(counter: ScoreCounter, answers: Answers, rows: int = 7) -> None:
    """Count answers as they come from calls of so many rows."""
    scores = answers.probabilities
    for start in range(0, len(answers), rows):
        part = slice(start, start + rows)
        found = None if scores is None else scores[part].tolist()
        counter.add(Answered(answers.predictions[part].tolist(), found))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packed")


def rows_of(count: int, seed: int, moved: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(moved, 1.0, (count, 2))


@pytest.fixture(scope="module")
def binary(folder: Path) -> tuple[Bundle, Any]:
    rows = rows_of(SAMPLE, 0)
    model = LogisticRegression().fit(rows, (rows.sum(axis=1) + rows_of(SAMPLE, 1)[:, 0] > 0).astype(int))
    packed = pack(model, rows, name="m", version="1", destination=folder / "binary", labels={0: "no", 1: "yes"})
    return open_bundle(packed.path), model


@pytest.fixture(scope="module")
def several(folder: Path) -> tuple[Bundle, Any]:
    rows = rows_of(SAMPLE, 0)
    model = LogisticRegression().fit(rows, np.digitize(rows.sum(axis=1), [-1.0, 1.0]))
    labels = {0: "low", 1: "middle", 2: "high"}
    packed = pack(model, rows, name="m", version="1", destination=folder / "several", labels=labels)
    return open_bundle(packed.path), model


@pytest.fixture(scope="module")
def number(folder: Path) -> tuple[Bundle, Any]:
    rows = rows_of(SAMPLE, 0)
    model = LinearRegression().fit(rows, rows.sum(axis=1) + rows_of(SAMPLE, 1)[:, 0])
    return open_bundle(pack(model, rows, name="m", version="1", destination=folder / "number").path), model


def answers(model: Any, rows: NDArray[np.float64]) -> Answers:
    scores = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
    return Answers(model.predict(rows), scores)


def noise(bins: int, window: int) -> float:
    """Three times what the index is on average where nothing shifted."""
    return 3 * (bins - 1) * (1 / window + 1 / SAMPLE)


@pytest.mark.parametrize("kind", ["binary", "several", "number"])
@pytest.mark.parametrize("rows", [1, VECTOR_ROWS + 9])
def test_a_shifted_stream_raises_the_index_and_the_same_one_does_not(
    kind: str, rows: int, request: pytest.FixtureRequest
) -> None:
    bundle, model = request.getfixturevalue(kind)
    for seed in range(5):
        pod = Pod(bundle)
        in_batches(pod.counter(), answers(model, rows_of(HALF_WINDOW, 10 + seed)), rows)
        same = pod.shift()
        assert same is not None
        assert 0 <= same < noise(20, HALF_WINDOW) < 0.1
        moved = Pod(bundle)
        in_batches(moved.counter(), answers(model, rows_of(HALF_WINDOW, 10 + seed, moved=0.7)), rows)
        shifted = moved.shift()
        assert shifted is not None
        assert shifted > 0.25


def test_the_window_moves_on(binary: tuple[Bundle, Any]) -> None:
    bundle, model = binary
    pod = Pod(bundle)
    counter = pod.counter()
    in_batches(counter, answers(model, rows_of(5000, 2)))
    quiet = pod.shift()
    in_batches(counter, answers(model, rows_of(2 * HALF_WINDOW, 3, moved=0.7)))
    moved = pod.shift()
    in_batches(counter, answers(model, rows_of(2 * HALF_WINDOW, 4)))
    again = pod.shift()
    assert quiet is not None
    assert moved is not None
    assert again is not None
    assert quiet < 0.02
    assert moved > 0.25
    assert again < 0.1
    counted = pod.scrape()[f"{SCORE}_count", ("m", "1")]
    assert counted == 5000 + 4 * HALF_WINDOW


def test_too_few_predictions_say_nothing(binary: tuple[Bundle, Any]) -> None:
    bundle, model = binary
    pod = Pod(bundle)
    counter = pod.counter()
    in_batches(counter, answers(model, rows_of(LEAST_PREDICTIONS - 1, 2)))
    assert pod.shift() is None
    in_batches(counter, answers(model, rows_of(1, 3)))
    assert pod.shift() is not None


@pytest.mark.parametrize("rows", [1, VECTOR_ROWS + 1])
def test_scores_are_counted_in_the_bins_of_the_baseline(number: tuple[Bundle, Any], rows: int) -> None:
    bundle, model = number
    pod = Pod(bundle)
    answered = answers(model, rows_of(SAMPLE, 0))  # the sample itself
    in_batches(pod.counter(), answered, rows)
    found = pod.scrape()
    buckets = [value for (name, _), value in found.items() if name == f"{SCORE}_bucket"]
    counts, _ = np.histogram(answered.predictions, bins=_edges(bundle))
    assert np.diff([0.0, *buckets]).tolist() == counts.tolist()
    assert found[SHIFT, ("m", "1")] == pytest.approx(0, abs=0.01)


def _edges(bundle: Bundle) -> list[float]:
    histogram = parse_baseline(bundle.path("baseline.json").read_bytes()).predictions["prediction"].histogram
    assert histogram is not None
    return list(histogram.edges)


def test_classes_are_counted_by_label(several: tuple[Bundle, Any]) -> None:
    bundle, model = several
    pod = Pod(bundle)
    answered = answers(model, rows_of(500, 2))
    in_batches(pod.counter(), answered, 3)
    in_batches(pod.counter(), answered, 100)
    found = pod.scrape()
    expected = np.bincount(answered.predictions)
    assert [found[CLASSES, ("m", "1", label)] for label in ("low", "middle", "high")] == (2 * expected).tolist()
    assert found[CLASSES, ("m", "1", "other")] == 0
    assert found[f"{SCORE}_count", ("m", "1")] == 1000


def test_workers_add_up_and_those_that_ended_count_no_more(binary: tuple[Bundle, Any]) -> None:
    bundle, model = binary
    pod, alone = Pod(bundle, workers=3), Pod(bundle)
    counter = alone.counter()
    parts = [answers(model, rows_of(100, 20 + worker, moved=worker / 2)) for worker in range(3)]
    for worker, part in enumerate(parts):
        work = partial(lambda worker, part: in_batches(pod.counter(worker), part), worker, part)
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join()
        in_batches(counter, part)
    together, one = pod.scrape(), alone.scrape()
    told = {key: value for key, value in one.items() if key[0].startswith((SCORE, CLASSES, SHIFT))}
    assert {key: together[key] for key in told} == pytest.approx(told)
    assert (SHIFT, ("m", "1")) in told
    pod.board.release(pod.slots[2])
    later = pod.scrape()
    assert later[f"{SCORE}_count", ("m", "1")] == 300
    assert later[SHIFT, ("m", "1")] < together[SHIFT, ("m", "1")]


def test_a_score_that_is_no_number_is_counted_and_spoils_nothing(binary: tuple[Bundle, Any]) -> None:
    bundle, _ = binary
    pod = Pod(bundle)
    counter = pod.counter()
    counter.add(Answered([1, 1], [[float("nan"), float("nan")], [0.5, 0.5]]))
    counter.add(Answered([1], [[0.25, 0.75]]))
    found = pod.scrape()
    assert found[f"{SCORE}_count", ("m", "1")] == 3
    assert found[f"{SCORE}_sum", ("m", "1")] == 0.75


def test_answers_that_cannot_be_counted_end_the_counting_alone(
    binary: tuple[Bundle, Any], caplog: pytest.LogCaptureFixture
) -> None:
    counter = Pod(binary[0]).counter()
    with caplog.at_level(logging.WARNING):
        counter.add(Answered([0], [["none"]]))
        counter.add(Answered([0], [["none"]]))
    assert caplog.text.count("are not counted any more") == 1


def test_quantiles_of_scores_below_zero_are_told_to_a_receiver(number: tuple[Bundle, Any]) -> None:
    bundle, model = number
    pod = Pod(bundle)
    predicted = answers(model, rows_of(SAMPLE, 2))
    in_batches(pod.counter(), predicted, 100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        sink = StatsD(f"127.0.0.1:{receiver.getsockname()[1]}", 10, SharedSeries(1))
        sink.send([family for family in pod.totals.families() if family.metric.name == SCORE])
        lines = dict(line.split("|")[0].split(":")[:2] for line in receiver.recv(2000).decode().splitlines())
    for name, quantile in (("p50", 0.5), ("p95", 0.95)):
        assert float(lines[f"{SCORE}.{name}"]) == pytest.approx(np.quantile(predicted.predictions, quantile), abs=0.3)


def test_without_a_baseline_there_are_counts_and_no_shift(
    write_bundle: Callable[..., Any], iris: Any, iris_rows: list[list[float]]
) -> None:
    packed = write_bundle({"joblib": iris}, name="m")
    pod = Pod(open_bundle(packed.directory))
    in_batches(pod.counter(), answers(iris, np.array(iris_rows * 2)))
    found = pod.scrape()
    assert found[f"{SCORE}_count", ("m", "1")] == 300
    assert found[CLASSES, ("m", "1", "setosa")] == 100
    assert (SHIFT, ("m", "1")) not in found


def test_a_baseline_that_cannot_be_read_is_told_and_left_out(
    binary: tuple[Bundle, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, model = binary
    (tmp_path / "baseline.json").write_text("{")
    pod = Pod(Bundle(tmp_path, bundle.manifest, bundle.digest))
    with caplog.at_level(logging.WARNING):
        in_batches(pod.counter(), answers(model, rows_of(300, 2)))
    assert "cannot be read, so no shift" in caplog.text
    assert pod.shift() is None


def test_the_index_is_that_of_the_textbook() -> None:
    assert stability_index([50, 50], [50, 50]) == 0
    expected = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5)
    assert stability_index([500, 500], [300, 700]) == pytest.approx(expected)
    assert stability_index([1000, 0], [1000, 0]) == 0


def test_a_row_of_a_batch_costs_little_more_than_any_other_count(binary: tuple[Bundle, Any]) -> None:
    bundle, model = binary
    counter = Pod(bundle).counter()
    answered = answers(model, rows_of(16, 2))
    batch = Answered(answered.predictions.tolist(), answered.probabilities.tolist())
    histogram = Metrics(SharedSeries(1), 0, (0.1, 1.0)).histogram("model_queue_duration_seconds", "m", "1")
    one = row = float("inf")
    for _ in range(100):  # by turns and for short, so that both find a moment in which nobody else is at work
        one = min(one, timeit.timeit(lambda: histogram.observe(0.5), number=200) / 200)
        row = min(row, timeit.timeit(lambda: counter.add(batch), number=20) / 20 / 16)
    assert row < 4 * one
