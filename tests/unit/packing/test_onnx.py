"""Graphs run in this process, as the service would feed them; the proof through the service is tested elsewhere."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import RegressorChain
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC

from model_artifact.dtypes import NULL_TEXT
from modelport.packing.answers import ask
from modelport.packing.attempt import NotKept
from modelport.packing.describe import describe
from modelport.packing.equivalents import equivalent
from modelport.packing.features import FeaturesFile
from modelport.packing.onnx import onnx_attempts
from modelport.packing.sample import Sample, read_sample

IRIS = datasets.load_iris(return_X_y=True)
TWO_CLASSES = tuple(part[:100] for part in IRIS)
DIABETES = datasets.load_diabetes(return_X_y=True)
ONE_NUMBER = (DIABETES[0][:, [2]], DIABETES[1])
TWO_TARGETS = datasets.load_linnerud(return_X_y=True)
PART_LABELLED = (IRIS[0], np.where(np.arange(150) % 5, IRIS[1], -1))


def feed(session: Any, sample: Sample) -> dict[str, Any]:
    kinds = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(string)": object}
    tables = {"tensor(string)": sample.table.astype(object).where(sample.table.notna(), NULL_TEXT)}
    inputs = session.get_inputs()
    names = {item.name: [item.name] if len(inputs) > 1 else list(sample.table.columns) for item in inputs}
    return {
        item.name: tables.get(item.type, sample.table)[names[item.name]].to_numpy(dtype=kinds[item.type])
        for item in inputs
    }


def first_graph(estimator: Any, rows: Any) -> tuple[Any, Sample]:
    """Compile each way in turn until one runs."""
    sample = read_sample(estimator, rows, {})
    signature = describe(estimator, sample, ask(estimator, sample), FeaturesFile())
    for attempt in onnx_attempts(estimator, signature):
        try:
            session = onnxruntime.InferenceSession(attempt.write())
        except Exception:
            continue
        return session, sample
    raise AssertionError("no attempt gives a graph that runs")


ESTIMATORS = [
    (LogisticRegression(max_iter=1000), IRIS),
    (LinearSVC(random_state=0), IRIS),
    (RidgeClassifier(), IRIS),
    (DummyClassifier(strategy="prior"), IRIS),
    (DummyClassifier(strategy="prior"), TWO_CLASSES),
    (DummyRegressor(), DIABETES),
    (DummyRegressor(), TWO_TARGETS),
    (GradientBoostingRegressor(n_estimators=5, random_state=0), DIABETES),
    (HistGradientBoostingClassifier(max_iter=5), IRIS),
    (HistGradientBoostingRegressor(max_iter=5), DIABETES),
    (VotingClassifier([("a", LogisticRegression(max_iter=1000))], voting="soft"), IRIS),
    (NearestCentroid(priors=[0.2, 0.3, 0.5]), IRIS),
    (NearestCentroid(priors=[0.4, 0.6]), TWO_CLASSES),
    (KernelRidge(), DIABETES),
    (KernelRidge(), TWO_TARGETS),
    (KernelRidge(kernel="rbf"), DIABETES),
    (IsotonicRegression(out_of_bounds="clip"), ONE_NUMBER),
    (TransformedTargetRegressor(Ridge()), DIABETES),
    (SelfTrainingClassifier(LogisticRegression(max_iter=1000)), PART_LABELLED),
    (GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2), DIABETES),
    (FrozenEstimator(LogisticRegression(max_iter=1000).fit(*IRIS)), IRIS),
]


@pytest.mark.parametrize(("estimator", "data"), ESTIMATORS, ids=lambda value: type(value).__name__)
def test_the_graph_answers_as_the_estimator_does(estimator: Any, data: Any) -> None:
    rows, target = data
    estimator = estimator.fit(rows, target)
    session, sample = first_graph(estimator, rows)
    expected = ask(estimator, sample)
    outputs = dict(zip((item.name for item in session.get_outputs()), session.run(None, feed(session, sample))))  # noqa: B905
    predictions = outputs["prediction"].reshape(expected.predictions.shape)
    if expected.predictions.dtype.kind == "f":
        assert predictions == pytest.approx(expected.predictions, rel=1e-5, abs=1e-5)
    else:
        assert predictions.tolist() == expected.predictions.tolist()
    assert ("probabilities" in outputs) == (expected.probabilities is not None)
    if expected.probabilities is not None:
        assert outputs["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_texts_with_missing_values_enter_as_one_tensor() -> None:
    table = pd.DataFrame({"port": ["S", "C", None, "S"] * 5, "cabin": ["a", "b", "b", None] * 5})
    encoder = OneHotEncoder(handle_unknown="ignore")
    for pipeline in (make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), make_pipeline(encoder)):
        model = make_pipeline(pipeline, LogisticRegression()).fit(table, [0, 1, 1, 0] * 5)
        session, sample = first_graph(model, table)
        assert [item.name for item in session.get_inputs()] == ["features"]
        prediction = session.run(["prediction"], feed(session, sample))[0]
        assert prediction.tolist() == model.predict(table).tolist()


def test_a_column_named_as_an_output_does_not_confuse_the_graph() -> None:
    table = pd.DataFrame({"probabilities": [0.0, 1.0, 2.0, 3.0], "x": [1.0, 0.0, 1.0, 0.0]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, [0, 0, 1, 1])
    session, sample = first_graph(model, table)
    assert session.run(["prediction"], feed(session, sample))[0].tolist() == [0, 0, 1, 1]


def test_what_has_no_converter_is_named() -> None:
    model = RegressorChain(Ridge()).fit(*TWO_TARGETS)
    sample = read_sample(model, TWO_TARGETS[0], {})
    attempt = next(onnx_attempts(model, describe(model, sample, ask(model, sample), FeaturesFile())))
    with pytest.raises(NotKept, match="the converter does not know RegressorChain"):
        attempt.write()


def test_the_same_estimator_gives_the_same_bytes() -> None:
    model = RandomForestClassifier(5, random_state=0).fit(*IRIS)
    sample = read_sample(model, IRIS[0], {})
    attempts = list(onnx_attempts(model, describe(model, sample, ask(model, sample), FeaturesFile())))
    assert [attempt.label for attempt in attempts] == ["float64, one tensor", "float32, one tensor"]
    assert attempts[1].write() == attempts[1].write()


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (DummyClassifier(strategy="most_frequent"), IRIS),
        (IsotonicRegression(), ONE_NUMBER),
        (NearestCentroid(metric="manhattan"), IRIS),
        (KernelRidge(kernel="poly"), DIABETES),
        (TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), DIABETES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_equal_is_left_as_it_is(estimator: Any, data: Any) -> None:
    assert type(equivalent(estimator.fit(*data))) is type(estimator)


def test_the_original_is_not_touched() -> None:
    model = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(), LogisticRegression())
    table = pd.DataFrame({"port": ["S", "C", None, "S"] * 5})
    model.fit(table, [0, 1, 1, 0] * 5)
    equivalent(model)
    assert np.isnan(model[0].missing_values)
