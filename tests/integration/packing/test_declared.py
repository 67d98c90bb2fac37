"""What is declared of features reaches the bundle, and its summary."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_artifact.coercion import Problem, RowCoercer
from model_service import runtimes
from modelport.packing import PackRefused, pack

CANCER = datasets.load_breast_cancer(as_frame=True)
SCALED = make_pipeline(StandardScaler(), LogisticRegression()).fit(CANCER.data, CANCER.target)


def test_constraints_and_rules_reach_manifest_golden_rows_and_examples(tmp_path: Path, golden_of: Any) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"low": generator.uniform(0, 10, 100), "high": generator.uniform(0, 10, 100)})
    model = LinearRegression().fit(table, table["high"] - table["low"])
    features = tmp_path / "features.yaml"
    features.write_text(
        "features: {low: {ge: 1, description: the lower one}, high: {computed: low + 1}}\n"
        "rules: [{expr: low < high, message: low is below high}]\n"
        "metadata: {author: Ada, note: old}\n"
    )
    packed = pack(
        model,
        table,
        name="m",
        destination=tmp_path / "out",
        features=features,
        formats=["onnx"],
        metadata={"note": "new"},
    )
    signature = packed.manifest.signature
    assert signature is not None
    assert (signature.inputs[0].ge, signature.inputs[0].description) == (1, "the lower one")
    assert packed.manifest.metadata == {"author": "Ada", "note": "new"}
    problems: list[Problem] = []
    for row in [*golden_of(packed).inputs, [item.example for item in signature.inputs]]:
        RowCoercer(signature).row(list(row), 0, problems)
    assert not problems
    assert packed.manifest.formats[0].parity is not None
    assert packed.manifest.formats[0].parity.rows < 100


def test_a_sample_that_breaks_its_own_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"no row of the sample meets .* in row 0, mean radius is 17.99"):
        pack(SCALED, CANCER.data, name="m", destination=tmp_path, features={"features": {"mean radius": {"le": 1}}})


def test_the_summary_says_what_is_there_and_what_is_not(
    tmp_path: Path, people: Any, fit_people: Any, caplog: pytest.LogCaptureFixture
) -> None:
    features = {"features": {"age": {"ge": 0, "le": 120}, "port": {"categories": ["C", "Q", "S"]}}}
    with caplog.at_level(logging.INFO, "modelport"):
        packed = pack(
            fit_people(LogisticRegression()),
            people,
            name="people",
            destination=tmp_path,
            features=features,
            formats=["onnx"],
        )
    summary = str(packed)
    assert f"modelport serve {packed.path}" in summary
    assert packed.digest in summary
    assert "onnx float64" in summary
    assert "age       float64 >= 0 <= 120 or null" in summary
    assert "port      string one of 3 categories or null" in summary
    assert "classes   no, yes" in summary
    assert any("proving on" in record.message for record in caplog.records)


def test_a_summary_of_many_features_is_short(tmp_path: Path) -> None:
    assert "and 18 more" in str(pack(SCALED, CANCER.data, name="m", destination=tmp_path, formats=["onnx"]))


def test_whole_numbers_of_an_array_may_be_declared_nullable(tmp_path: Path) -> None:
    rows = np.arange(120).reshape(60, 2) % 7
    model = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 3)
    nullable = {"features": {"x0": {"nullable": True}}}
    packed = pack(model, rows, name="m", destination=tmp_path, features=nullable, formats=["joblib"])
    served = runtimes.load("joblib", packed.path / "model.joblib", packed.manifest.signature, trusted=True)
    found = served.predict([[None, 1], [2, 3]]).probabilities
    assert found is not None
    assert found.tolist() == model.predict_proba([[np.nan, 1], [2, 3]]).tolist()
