"""The mean over a forest's trees is what the estimator answers; where that is not known, it answers itself."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_service.runtimes.forests import mean_of_trees

CASES = {
    "binary": (RandomForestClassifier, load_breast_cancer, "predict_proba"),
    "classes": (ExtraTreesClassifier, load_iris, "predict_proba"),
    "numbers": (RandomForestRegressor, load_diabetes, "predict"),
    "extra numbers": (ExtraTreesRegressor, load_diabetes, "predict"),
}


def fitted(name: str, **options: Any) -> tuple[Any, Any, str]:
    make, load, method = CASES[name]
    data, target = load(return_X_y=True)
    return make(12, random_state=0, **options).fit(data, target), data, method


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("jobs", [None, 2])
def test_the_answers_are_the_estimators_own_to_the_last_bit(name: str, jobs: int | None) -> None:
    forest, rows, method = fitted(name, n_jobs=jobs)
    mean = mean_of_trees(forest, method)
    assert mean != getattr(forest, method)
    for some in (rows[:1], rows[:50]):
        np.testing.assert_array_equal(mean(some), getattr(forest, method)(some), strict=True)


@pytest.mark.parametrize("name", CASES)
def test_the_steps_before_are_run(name: str) -> None:
    make, load, method = CASES[name]
    data, target = load(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), make(5, random_state=0)).fit(data, target)
    mean = mean_of_trees(pipeline, method)
    assert mean != getattr(pipeline, method)
    np.testing.assert_array_equal(mean(data), getattr(pipeline, method)(data), strict=True)


def test_frames_are_taken_in_the_order_of_their_columns() -> None:
    data, target = load_iris(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(5, random_state=0).fit(data, target)
    mean = mean_of_trees(forest, "predict_proba")
    np.testing.assert_array_equal(mean(data[:9]), forest.predict_proba(data[:9]), strict=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_is_not_a_number_is_left_to_the_estimator(value: float) -> None:
    forest, rows, method = fitted("numbers")
    strange = rows[:2].copy()
    strange[0, 0] = value
    assert outcome(mean_of_trees(forest, method), strange) == outcome(getattr(forest, method), strange)


def test_values_that_were_missing_when_it_was_fitted_are_left_to_it_too() -> None:
    data, target = load_iris(return_X_y=True)
    data[::7, 0] = np.nan
    forest = RandomForestClassifier(5, random_state=0).fit(data, target)
    mean = mean_of_trees(forest, "predict_proba")
    np.testing.assert_array_equal(mean(data), forest.predict_proba(data), strict=True)


def outcome(method: Any, rows: Any) -> Any:
    try:
        with np.errstate(over="ignore"):
            return method(rows).tolist()
    except ValueError as error:
        return str(error)


class Shy(RandomForestRegressor):  # type: ignore[misc]
    """One's own forest may mean anything."""


@pytest.mark.parametrize("make", [Shy, GradientBoostingRegressor])
def test_other_classes_answer_themselves(make: Any) -> None:
    data, target = load_diabetes(return_X_y=True)
    estimator = make(n_estimators=3).fit(data, target)
    assert mean_of_trees(estimator, "predict") == estimator.predict


def test_a_forest_that_answers_otherwise_answers_itself() -> None:
    forest, _, method = fitted("numbers")
    forest.predict = lambda rows: np.zeros(len(rows))
    assert mean_of_trees(forest, method) is forest.predict


def test_several_outputs_are_left_to_the_estimator() -> None:
    data, target = load_diabetes(return_X_y=True)
    forest = RandomForestRegressor(3).fit(data, np.column_stack([target, target]))
    assert mean_of_trees(forest, "predict") == forest.predict


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in CASES:
            forest, rows, method = fitted(name)
            mean_of_trees(forest, method)(rows * 1e30)
