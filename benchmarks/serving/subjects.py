"""What is served: two estimators on the breast cancer data, trained once a run, and what each must answer.

Everyone serves the same fitted object: the peers from joblib, Modelport from the bundle that `pack` makes of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelport

POOL = 64
"""Different rows in the load, so that no cache and no branch predictor sees one row only."""
FORMATS = ("onnx", "joblib")
LABELS = {0: "malignant", 1: "benign"}


@dataclass(frozen=True)
class Subject:
    """A fitted estimator on disk, and its own answers.

    `rows` is (64, features); `expected` is (64, classes), from `predict_proba`; `roots` has a model root by format.
    """

    name: str
    joblib: Path
    roots: Mapping[str, Path]
    rows: NDArray[np.float64]
    expected: NDArray[np.float64]

    def take(self, start: int, count: int) -> list[int]:
        """Indices of `count` rows of the pool, from `start` on and round again."""
        return [(start + index) % len(self.rows) for index in range(count)]


def _logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _forest() -> Any:
    return RandomForestClassifier(n_estimators=100, random_state=0)


ESTIMATORS: Mapping[str, Callable[[], Any]] = {"logistic": _logistic, "forest": _forest}


def prepare(name: str, folder: Path, features: int = 30) -> Subject:
    """Train the estimator `name` on the first `features` columns; write it as joblib and as bundles into `folder`."""
    data, target = load_breast_cancer(return_X_y=True)
    train_x, test_x, train_y, _ = train_test_split(data[:, :features], target, random_state=0)
    estimator = ESTIMATORS[name]().fit(train_x, train_y)
    home = folder / f"{name}-{features}"
    home.mkdir(parents=True)
    path = home / "model.joblib"
    joblib.dump(estimator, path)
    limits = {f"x{column}": {"ge": 0, "le": 10_000} for column in range(features)}
    roots = {form: home / form for form in FORMATS}
    for form, root in roots.items():
        modelport.pack(
            estimator, train_x, name=name, destination=root, formats=[form], labels=LABELS,
            features={"features": limits},
        )  # fmt: skip
    rows = test_x[:POOL]
    return Subject(name, path, roots, rows, estimator.predict_proba(rows))
