"""Linear models, standardised or not, computed here: scikit-learn looks at a batch ten times as long as it computes.

These are its own operations in its own order, so the answers are the same to the last bit. They are used for its own
classes only, for rows of finite numbers, and only when a comparison with the estimator found no difference.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit  # type: ignore[import-untyped]

from model_artifact.signature import Signature
from model_service.runtimes.arrays import doubles
from model_service.runtimes.base import Rows

PROBES = (1, 2, 3, 32, 100)
"""Rows of the batches that are compared: libraries of linear algebra treat sizes differently."""

Matrix = NDArray[np.float64]
Answer = Callable[[Rows], NDArray[Any] | None]


def shortcut(estimator: Any, method: str, signature: Signature, own: Callable[[Rows], NDArray[Any]]) -> Answer | None:
    """What answers as `own` does; it gives none for rows that the estimator has to look at.

    Args:
        estimator: fitted; a linear model, or a pipeline of a `StandardScaler` and one.
        method: of it that is asked.
        signature: of its rows.
        own: asks the estimator.

    Returns:
        None where the estimator is another one, or a difference was found.
    """
    *before, final = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    finish = _FINISH.get((_name(final), method))
    plain = all(feature.dtype in {"float64", "int64"} for feature in signature.inputs) and signature.layout != "vector"
    if finish is None or not plain or [_name(step) for step in before] not in ([], ["StandardScaler"]):
        return None
    try:
        linear = _Linear(before[0] if before else None, final, finish, "F" if signature.layout == "frame" else "C")
        return linear if all(_agrees(linear, rows, own) for rows in _probes(linear, signature)) else None
    except Exception:  # an estimator that is not fitted, say: it tells so itself when it is asked
        return None


class _Linear:
    """The operations of one estimator."""

    def __init__(self, scaler: Any, final: Any, finish: Callable[[Matrix], Matrix], order: Any) -> None:
        self.mean = scaler.mean_ if scaler is not None and scaler.with_mean else None
        self.scale = scaler.scale_ if scaler is not None and scaler.with_std else None
        self._weights, self._intercept = final.coef_.T, final.intercept_
        self._finish, self._order = finish, order

    def __call__(self, rows: Rows) -> NDArray[Any] | None:
        given = rows if isinstance(rows, np.ndarray) else doubles(rows)
        if given is None:
            return None
        data = np.array(given, order=self._order)  # a copy: the rows are the caller's
        if self.mean is not None:
            data -= self.mean
        if self.scale is not None:
            data /= self.scale
        return self._finish(data @ self._weights + self._intercept) if np.isfinite(data).all() else None


def _name(step: Any) -> str | None:
    """The class of a step, of scikit-learn's own."""
    return type(step).__name__ if type(step).__module__.startswith("sklearn.") else None


def _probes(linear: _Linear, signature: Signature) -> Iterator[Matrix]:
    """Rows such as it was fitted with."""
    chance, whole = np.random.default_rng(0), [feature.dtype == "int64" for feature in signature.inputs]
    center = 0 if linear.mean is None else linear.mean
    spread = 1 if linear.scale is None else linear.scale
    for count in PROBES:
        rows = chance.normal(center, spread, (count, len(whole)))
        yield np.where(whole, np.rint(rows), rows)


def _agrees(linear: _Linear, rows: Matrix, own: Callable[[Rows], NDArray[Any]]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, wanted = linear(rows), own(rows)
    return found is not None and found.dtype == wanted.dtype and np.array_equal(found, wanted)


def _logistic(scores: Matrix) -> Matrix:
    if scores.shape[1] > 1:
        return _softmax(scores)
    positive = expit(scores.reshape(-1))
    return np.stack([1 - positive, positive], axis=1)


def _softmax(scores: Matrix) -> Matrix:
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _unchanged(scores: Matrix) -> Matrix:
    return scores


_FINISH: dict[tuple[str | None, str], Callable[[Matrix], Matrix]] = {
    ("LogisticRegression", "predict_proba"): _logistic,
    **{(name, "predict"): _unchanged for name in ("LinearRegression", "Ridge", "Lasso", "ElasticNet")},
}
