"""The mean over a forest's trees, computed here: scikit-learn takes forty times as long to call its trees for one row.

Its forests start a job for each tree, with a lock around the sum, which pays off for thousands of rows and not for the
batches of a server; `n_jobs=-1`, which many people fit with, makes it worse. This adds up the same trees in the same
order. It is used for scikit-learn's own classes only, and only when it was seen to agree with the estimator.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORESTS = {
    "RandomForestClassifier": "predict_proba", "ExtraTreesClassifier": "predict_proba",
    "RandomForestRegressor": "predict", "ExtraTreesRegressor": "predict",
}  # fmt: skip
"""And the method that is the mean over the trees."""
PROBES = 32
TOLERANCE = 1e-12
"""Scores of a batch may differ by as much from those of a single row; where `n_jobs` is set, so do the estimator's."""

Method = Callable[[Any], NDArray[Any]]


def mean_of_trees(estimator: Any, method: str) -> Method:
    """The estimator's own `method`, or what computes the same faster."""
    own: Method = getattr(estimator, method)
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    forest = steps[-1]
    if not type(forest).__module__.startswith("sklearn.") or FORESTS.get(type(forest).__name__) != method:
        return own
    if forest.n_outputs_ != 1 or not _agrees(forest, method):
        return own
    prepare = estimator[:-1].transform if len(steps) > 1 else None

    def mean(data: Any) -> NDArray[Any]:
        features = data if prepare is None else prepare(data)
        matrix = _finite(features)
        return own(data) if matrix is None else _mean(forest, matrix)

    return mean


def _agrees(forest: Any, method: str) -> bool:
    """Whether both give the same for random rows, which fall into leaves of all kinds."""
    thresholds = np.concatenate([tree.tree_.threshold for tree in forest.estimators_])
    chance = np.random.default_rng(0)
    rows = chance.choice(thresholds, (PROBES, forest.n_features_in_)) + chance.normal(size=(PROBES, 1))
    matrix = _finite(rows)
    if matrix is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the rows have no names
        wanted = getattr(forest, method)(matrix)
    return np.allclose(_mean(forest, matrix), wanted, rtol=TOLERANCE, atol=TOLERANCE)


def _finite(features: Any) -> NDArray[np.float32] | None:
    """The features as the trees want them; none where the estimator has to say what it makes of them."""
    values = features.to_numpy() if hasattr(features, "to_numpy") else features
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        return None
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(values, dtype=np.float32)
    return matrix if np.isfinite(matrix).all() else None


def _mean(forest: Any, matrix: NDArray[np.float32]) -> NDArray[Any]:
    trees = forest.estimators_
    total: NDArray[Any] = trees[0].tree_.predict(matrix).copy()
    for tree in trees[1:]:
        total += tree.tree_.predict(matrix)
    total /= len(trees)
    return total if hasattr(forest, "classes_") else total.reshape(len(matrix))
