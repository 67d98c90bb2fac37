"""Linear models answer to the last bit what the estimator does; where that is not known, it answers itself."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from model_artifact.signature import Feature, Output, Signature
from model_service.runtimes import linear
from model_service.runtimes.sklearn import SklearnRuntime


def signature(width: int, classes: int, layout: Any = "matrix", **feature: Any) -> Signature:
    inputs = tuple(Feature(f"x{at}", **{"dtype": "float64"} | feature) for at in range(width))
    if not classes:
        return Signature("regression", layout, inputs, (Output("prediction", "float64"),))
    outputs = (Output("prediction", "int64"), Output("probabilities", "float64", (classes,)))
    values = tuple(range(classes))
    return Signature("classification", layout, inputs, outputs, values, tuple(map(str, values)))


class Own:
    """An estimator under another name, so that no shortcut is known for it."""

    def __init__(self, fitted: Any) -> None:
        self.predict, self.predict_proba = fitted.predict, getattr(fitted, "predict_proba", None)


def is_short(fitted: Any, given: Signature) -> bool:
    runtime = SklearnRuntime(fitted, given)
    return runtime._shortcut is not None


def assert_same(fitted: Any, given: Signature, rows: list[list[Any]]) -> None:
    """That the shortcut is taken, and gives what the estimator gives, for one row and for many, in both forms."""
    quick, own = SklearnRuntime(fitted, given), SklearnRuntime(Own(fitted), given)
    assert quick._shortcut is not None
    for some in (rows[:1], rows[:7], rows):
        for form in (some, np.array(some, dtype=np.float64)):
            left, right = quick.predict(form), own.predict(form)
            np.testing.assert_array_equal(left.predictions, right.predictions, strict=True)
            if right.probabilities is not None:
                assert left.probabilities is not None
                np.testing.assert_array_equal(left.probabilities, right.probabilities, strict=True)


SCALERS = {
    "none": [], "both": [StandardScaler()], "scale": [StandardScaler(with_mean=False)],
    "mean": [StandardScaler(with_std=False)],
}  # fmt: skip


@pytest.mark.parametrize("layout", ["matrix", "frame"])
@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_classifiers_answer_the_same(load: Any, scaler: str, layout: str) -> None:
    data, target = load(return_X_y=True)
    data /= data.max(axis=0)  # which is learned quickly
    names = [f"x{at}" for at in range(data.shape[1])]
    table = pd.DataFrame(data, columns=names) if layout == "frame" else data.copy()
    fitted = make_pipeline(*SCALERS[scaler], LogisticRegression(max_iter=500)).fit(table, target)
    assert_same(fitted, signature(data.shape[1], len(set(target)), layout), data.tolist())


@pytest.mark.parametrize("model", [LinearRegression(), Ridge(), Lasso(0.1), ElasticNet(0.1, fit_intercept=False)])
@pytest.mark.parametrize("targets", [1, 3])
def test_regressors_answer_the_same(model: Any, targets: int) -> None:
    data, target = load_diabetes(return_X_y=True)
    several = target if targets == 1 else np.stack([target, -target, target**2], axis=1)
    fitted = make_pipeline(StandardScaler(), model).fit(data, several)
    assert_same(fitted, signature(10, 0), data.tolist())


@pytest.mark.parametrize("layout", ["matrix", "frame"])
def test_whole_numbers_are_answered_the_same(layout: str) -> None:
    data, target = load_breast_cancer(return_X_y=True)
    table = pd.DataFrame(np.rint(data[:, :4]).astype("int64"), columns=[f"x{at}" for at in range(4)])
    given = table if layout == "frame" else table.to_numpy()
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(given, target)
    assert_same(fitted, signature(4, 2, layout, dtype="int64"), [*table.to_numpy().tolist(), [2**60 + 1, 1, 2, 3]])


def test_rows_are_left_as_they_are() -> None:
    data, target = load_iris(return_X_y=True)
    fitted = make_pipeline(StandardScaler(copy=False), LogisticRegression()).fit(data.copy(), target)
    rows = data.copy()
    SklearnRuntime(fitted, signature(4, 3)).predict(rows)
    np.testing.assert_array_equal(rows, data)


@pytest.mark.parametrize("value", [None, np.nan, np.inf])
def test_what_is_no_number_is_left_to_the_estimator(value: Any) -> None:
    data, target = load_iris(return_X_y=True)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(data, target)
    runtime = SklearnRuntime(fitted, signature(4, 3, nullable=True))
    assert runtime._shortcut is not None
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        runtime.predict([[1.0, value, 1.0, 1.0]])


class Changed(LogisticRegression):
    """Somebody's own."""


@pytest.mark.parametrize(
    "model",
    [
        Changed(max_iter=500),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression()),
        SGDClassifier(loss="log_loss", random_state=0),
    ],
    ids=["subclass", "another scaler", "two scalers", "another model"],
)
def test_others_answer_themselves(model: Any) -> None:
    data, target = load_iris(return_X_y=True)
    assert not is_short(model.fit(data, target), signature(4, 3))


def test_features_of_other_types_are_left_to_the_estimator() -> None:
    data, target = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(data, target)
    assert is_short(fitted, signature(4, 3))
    assert not is_short(fitted, signature(4, 3, dtype="float32"))
    assert not is_short(fitted, signature(4, 3, dtype="bool"))


def test_an_estimator_that_answers_something_else_answers_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    data, target = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(data, target)
    monkeypatch.setattr(linear, "PROBES", (5,))
    fitted.predict_proba = lambda rows: np.nextafter(LogisticRegression.predict_proba(fitted, rows), 1)
    assert not is_short(fitted, signature(4, 3))


def test_an_estimator_that_is_not_fitted_or_for_other_rows_says_so_itself() -> None:
    assert not is_short(LogisticRegression(), signature(4, 3))
    data, target = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(data, target)
    assert not is_short(fitted, signature(3, 3))
