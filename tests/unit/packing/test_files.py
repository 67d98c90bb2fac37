import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelport.packing import PackRefused
from modelport.packing.files import joblib_bytes, skops_bytes
from modelport.packing.model_file import read_model, read_table

ROWS, TARGET = load_iris(return_X_y=True)
TEXTS = ["a fine day", "a poor day"]
MODELS = [
    (RandomForestClassifier(3, random_state=0).fit(ROWS, TARGET), ROWS),
    (make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, ["good", "bad"]), TEXTS),
]


def load_joblib(data: bytes) -> Any:
    return joblib.load(io.BytesIO(data))


def load_skops(data: bytes) -> Any:
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


@pytest.mark.parametrize(("model", "rows"), MODELS, ids=["forest", "text"])
@pytest.mark.parametrize(("write", "load"), [(joblib_bytes, load_joblib), (skops_bytes, load_skops)])
def test_what_is_written_loads_back_and_is_the_same_each_time(
    write: Callable[[Any], bytes], load: Callable[[bytes], Any], model: Any, rows: Any
) -> None:
    data = write(model)
    assert data == write(model)
    assert np.array_equal(load(data).predict_proba(rows), model.predict_proba(rows))


@pytest.mark.parametrize("write", [joblib_bytes, skops_bytes])
@pytest.mark.parametrize(
    "model",
    [*(model for model, _ in MODELS), GradientBoostingClassifier(n_estimators=3).fit(ROWS, TARGET)],
    ids=["forest", "text", "boosted"],
)
def test_every_load_of_one_file_is_written_the_same(write: Callable[[Any], bytes], model: Any) -> None:
    data = joblib_bytes(model)
    first, second = load_joblib(data), load_joblib(data)
    assert write(first) == write(second)


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.skops"])
def test_model_files_are_read(tmp_path: Path, name: str) -> None:
    model, rows = MODELS[0]
    (tmp_path / name).write_bytes(skops_bytes(model) if name.endswith("skops") else joblib_bytes(model))
    assert np.array_equal(read_model(tmp_path / name).predict(rows), model.predict(rows))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.onnx", "not a model file that can be packed; give .joblib, .pkl, .pickle or .skops"),
        ("model.txt", "not a model file that can be packed"),
        ("missing.joblib", "cannot be read: FileNotFoundError"),
        ("broken.joblib", "cannot be read"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "broken.joblib").write_bytes(b"not a pickle")
    with pytest.raises(PackRefused, match=sentence):
        read_model(tmp_path / name)


def test_a_csv_keeps_leading_zeros_of_columns_declared_as_text(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("zip,age\n01234,5\n00042,6\n")
    declared = {"features": {"zip": {"dtype": "string"}}}
    assert read_table(path, declared)["zip"].tolist() == ["01234", "00042"]
    pd.testing.assert_series_equal(read_table(path)["zip"], pd.Series([1234, 42], name="zip"))


@pytest.mark.parametrize(
    ("name", "sentence"), [("sample.xls", "give .csv or .parquet"), ("none.csv", "cannot be read")]
)
def test_what_is_no_sample_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        read_table(tmp_path / name)
