"""The estimator's own answers: what every packed format is measured against."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_artifact.manifest import Parity
from model_artifact.samples import Answer
from modelport.packing.errors import PackRefused
from modelport.packing.sample import Sample


@dataclass(frozen=True)
class Answers:
    """`predictions` of shape (n,) or (n, k); `probabilities` of shape (n, classes), or none."""

    predictions: NDArray[Any]
    probabilities: NDArray[np.float64] | None

    def plain(self) -> list[Answer]:
        """As golden.json has them."""
        scores = [None] * len(self.predictions) if self.probabilities is None else self.probabilities.tolist()
        return [
            Answer(_plain(value), None if row is None else tuple(row))
            for value, row in zip(self.predictions.tolist(), scores, strict=True)
        ]

    def margin(self) -> NDArray[np.float64]:
        """How far the best class is ahead of the second, in probability; 1 where there is nothing to compare."""
        if self.probabilities is None or self.probabilities.shape[1] < 2:
            return np.ones(len(self.predictions))
        ordered = np.sort(self.probabilities, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2])


def ask(estimator: Any, sample: Sample) -> Answers:
    """Have the estimator answer.

    Probabilities are kept where they are one number for each of `classes_`, which leaves out models of several outputs.

    Raises:
        PackRefused: the estimator cannot predict these rows.
    """
    data = sample.native()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the estimator says of its fitting is no news here
            predictions = np.asarray(estimator.predict(data))
            scores = estimator.predict_proba(data) if hasattr(estimator, "predict_proba") else None
    except Exception as error:  # an estimator may raise anything
        raise PackRefused(
            f"{type(estimator).__name__} cannot predict the sample ({type(error).__name__}: {str(error)[:300]}); "
            "give rows as they are before any preprocessing that is not part of the estimator"
        ) from error
    classes = getattr(estimator, "classes_", None)
    usable = predictions.ndim == 1 and isinstance(classes, np.ndarray) and isinstance(scores, np.ndarray)
    if not usable or scores.shape != (len(predictions), len(classes)):  # type: ignore[union-attr,arg-type]
        return Answers(predictions, None)
    return Answers(predictions, np.asarray(scores, dtype=np.float64))


def compare(expected: Sequence[Answer], got: Sequence[Answer], *, numeric: bool) -> Parity:
    """Measure `got` against `expected`, row by row.

    Args:
        expected: the estimator's answers.
        got: those of another form of the model, as many.
        numeric: predictions are measured by their error relative to max(1, |expected|), rather than by equality.

    Returns:
        `max_error` over predictions (if numeric) and probabilities; `agreement`, the share of equal predictions
        (all, if numeric).
    """
    agreement = 1.0
    error = 0.0
    if numeric:
        error = _relative_error([item.prediction for item in expected], [item.prediction for item in got])
    else:
        agreement = sum(_same(a.prediction, b.prediction) for a, b in zip(expected, got, strict=True)) / len(expected)
    for wanted, found in zip(expected, got, strict=True):
        if wanted.probabilities is not None:
            error = max(error, _absolute_error(wanted.probabilities, found.probabilities))
    return Parity(len(expected), float(error), agreement)


def _relative_error(expected: list[Any], got: list[Any]) -> float:
    wanted, found = np.array(expected, dtype=float), np.array(got, dtype=float)
    if wanted.shape != found.shape or (np.isnan(wanted) != np.isnan(found)).any():
        return math.inf
    known = ~np.isnan(wanted)
    return float((np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)))[known].max(initial=0.0))


def _absolute_error(expected: Sequence[float], got: Sequence[float] | None) -> float:
    if got is None or len(got) != len(expected):
        return math.inf
    error = np.abs(np.array(got, dtype=float) - np.array(expected, dtype=float)).max(initial=0.0)
    return math.inf if math.isnan(error) else float(error)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _plain(value: Any) -> Any:
    """Lists as tuples, and NaN as null, as JSON has it."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    return None if isinstance(value, float) and math.isnan(value) else value
