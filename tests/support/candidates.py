"""Estimators that are bad candidates: bundles of tests unpickle them from here."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


class Fine(BaseEstimator):
    """Answers at once."""

    n_features_in_ = 1

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.asarray(X)[:, 0]


class Failing(Fine):
    """Fails for every row that is not zero: golden rows of bare files are none, so it loads."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        raise ValueError("it never answers")
