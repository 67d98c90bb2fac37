"""Counts what a version predicts, in the bins of its bundle's baseline, so that a shift of its scores shows.

The score is a number's own value, the probability of the second of two classes, or that of the most probable of
several. Counts are added once a batch, by whoever makes the call, straight into the worker's part of the shared series;
what is told of them is the sum over the workers, at a scrape.
"""

import logging
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import attrgetter, itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_artifact.bundle import Bundle
from model_artifact.errors import ArtifactError
from model_artifact.samples import Baseline, Distribution, parse_baseline
from model_artifact.signature import Signature
from model_service.batch import Answered
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.series import Cells

HALF_WINDOW = 1000
"""Predictions of a worker after which its window turns: a shift is told of its last one to two thousand."""
VECTOR_ROWS = 32
"""From so many on, an array is cheaper than a loop."""
COUNTED_ROWS = 8
"""From so many on, equal classes are gathered before they are added."""
MAX_CLASSES = 50
"""Of which each has a series of its own; all others share one."""
OTHER = "other"

log = logging.getLogger(__name__)
Labels = tuple[str, str]
Count = Callable[[Answered], None]


class ScoreCounter:
    """Counts the answers of one version.

    Args:
        bundle: the version's, whose baseline is read; without one there are counts, but nothing to hold them against.
        signature: of the runtime that answers.
        metrics: of this worker.
    """

    def __init__(self, bundle: Bundle, signature: Signature, metrics: Metrics) -> None:
        self._labels = (bundle.manifest.name, bundle.manifest.version)
        self._counts = _counts(self._labels, _baseline(bundle), signature, metrics)

    def add(self, answered: Answered) -> None:
        """Count the answers of one call; an answer that cannot be counted ends the counting, and nothing else."""
        try:
            for count in self._counts:
                count(answered)
        except (TypeError, ValueError, KeyError, IndexError) as error:  # a model's answers are what it makes them
            log.warning("scores of %s version %s are not counted any more: %s", *self._labels, error)
            self._counts = []


class Window:
    """The latest of what is counted: running counts by bin, now, at the last turn, and at the turn before."""

    def __init__(self, cells: Cells, counts: list[float]) -> None:
        self.cells, self._counts = cells, counts
        for start in range(0, len(cells), len(counts)):
            self._copy(start)

    def turn(self) -> int:
        """Turn; gives how many predictions may pass until the next turn."""
        bins = len(self._counts)
        self.cells[2 * bins :] = self.cells[bins : 2 * bins]
        self._copy(bins)
        return HALF_WINDOW

    def _copy(self, start: int) -> None:
        self.cells[start : start + len(self._counts)] = memoryview(array("d", self._counts))


@dataclass(frozen=True)
class Bins:
    """Bounds between bins, and how much of the training sample is in each; `sample` is empty where that is unknown."""

    bounds: tuple[float, ...]
    sample: tuple[int, ...] = ()

    @classmethod
    def of(cls, distribution: Distribution | None) -> "Bins | None":
        """The bins of a baseline's histogram, the outermost without end."""
        found = None if distribution is None else distribution.histogram
        return None if found is None else cls(found.edges[1:-1], found.counts)


@dataclass(frozen=True)
class Score:
    """What the score of a row is: `of_row` of an element of the answers so called, `of_rows` of an array of them."""

    answers: Literal["predictions", "probabilities"]
    of_row: Callable[[Any], float]
    of_rows: Callable[[NDArray[Any]], NDArray[Any]]


TENTHS = Bins(tuple(tenth / 10 for tenth in range(1, 10)))
"""Of probabilities that the baseline does not tell of."""


def _counts(labels: Labels, baseline: Baseline, signature: Signature, metrics: Metrics) -> list[Count]:
    if signature.outputs[0].shape:
        return []  # several values a row have no one score
    counts: list[Count] = []
    scored = _scored(baseline, signature)
    if scored is not None:
        counts.append(_count_scores(labels, *scored, metrics))
    if signature.classes:
        sample = None if scored and scored[1].sample else baseline.predictions.get("prediction")
        counts.append(_count_classes(labels, signature, (sample and sample.categories) or {}, metrics))
    return counts


def _scored(baseline: Baseline, signature: Signature) -> tuple[Score, Bins] | None:
    found = baseline.predictions
    if not signature.has_probabilities:
        bins = Bins.of(found.get("prediction"))
        return None if bins is None else (Score("predictions", float, np.asarray), bins)
    if len(signature.labels) == 2:
        bins = Bins.of(found.get(f"probability:{signature.labels[1]}"))
        return Score("probabilities", itemgetter(1), lambda rows: rows[:, 1]), bins or TENTHS
    return Score("probabilities", max, lambda rows: rows.max(axis=1)), TENTHS


def _count_scores(labels: Labels, score: Score, bins: Bins, metrics: Metrics) -> Count:
    bounds, size = bins.bounds, len(bins.bounds) + 1
    cells = metrics.cells("model_prediction_score", (*labels, *map(repr, bounds)), size + 1)
    counts, edges, of_row, answers = list(cells[:size]), np.array(bounds), score.of_row, attrgetter(score.answers)
    of_rows = score.of_rows
    window = _window(labels, counts, bins.sample, metrics)
    latest, left, total = window.cells, HALF_WINDOW, cells[size]

    def count(answered: Answered) -> None:
        nonlocal left, total
        rows, added = answers(answered), 0.0
        if len(rows) < VECTOR_ROWS:
            for value in map(of_row, rows):
                at = bisect_right(bounds, value)
                counts[at] = cells[at] = latest[at] = counts[at] + 1.0
                added += value
        else:
            values = of_rows(rows) if isinstance(rows, np.ndarray) else np.array(list(map(of_row, rows)))
            for at, times in enumerate(np.bincount(edges.searchsorted(values, "right")).tolist()):
                counts[at] = cells[at] = latest[at] = counts[at] + times
            added = float(values.sum())
        if isfinite(added):
            cells[size] = total = total + added
        left -= len(rows)
        if left <= 0:
            left = window.turn()

    return count


def _count_classes(labels: Labels, signature: Signature, sample: Mapping[str, int], metrics: Metrics) -> Count:
    """Classes by how many of the sample they have, so that those which are joined for a shift are the rare ones."""
    by_size = sorted(signature.class_labels.items(), key=lambda item: -sample.get(item[1], 0))[:MAX_CLASSES]
    told = [label for _, label in by_size]
    sizes = [sample.get(label, 0) for label in told]
    cells = [metrics.cells("model_predictions_total", (*labels, label), 1) for label in (*told, OTHER)]
    counts = [cell[0] for cell in cells]
    window = _window(labels, counts, (*sizes, sum(sample.values()) - sum(sizes)), metrics)
    latest, left = window.cells, HALF_WINDOW
    places, rest = {value: at for at, (value, _) in enumerate(by_size)}, len(told)

    def count(answered: Answered) -> None:
        nonlocal left
        values = answered.predictions
        if len(values) < COUNTED_ROWS:
            for value in values:
                at = places.get(value, rest)
                counts[at] = cells[at][0] = latest[at] = counts[at] + 1.0
        else:
            for value, times in Counter(values).items():
                at = places.get(value, rest)
                counts[at] = cells[at][0] = latest[at] = counts[at] + times
        left -= len(values)
        if left <= 0:
            left = window.turn()

    return count


def _window(labels: Labels, counts: list[float], sample: Sequence[int], metrics: Metrics) -> Window:
    """A window on the counts, which is told of where there is a sample to hold it against."""
    if not any(sample):
        return Window(memoryview(bytearray(3 * 8 * len(counts))).cast("d"), counts)
    return Window(metrics.cells("model_score_shift", (*labels, *map(str, sample)), 3 * len(counts)), counts)


def _baseline(bundle: Bundle) -> Baseline:
    path = bundle.manifest.baseline
    if path is None:
        return Baseline()
    try:
        return parse_baseline(bundle.path(path).read_bytes())
    except (ArtifactError, OSError) as error:
        log.warning("the baseline of %s cannot be read, so no shift of its scores is told: %s", bundle.directory, error)
        return Baseline()
