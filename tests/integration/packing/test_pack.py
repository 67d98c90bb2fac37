"""Whole packs of real data, proven through the service's own runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import RegressorChain
from sklearn.neighbors import NearestCentroid, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from model_artifact.bundle import verify
from model_artifact.errors import AlreadyPublished, PathRefused
from modelport.packing import PackRefused, pack

CANCER = datasets.load_breast_cancer(as_frame=True)
SCALED = make_pipeline(StandardScaler(), LogisticRegression()).fit(CANCER.data, CANCER.target)
IRIS = datasets.load_iris(return_X_y=True)


def test_every_format_is_proven_and_the_bundle_verifies(tmp_path: Path) -> None:
    packed = pack(
        SCALED,
        CANCER.data,
        name="cancer",
        version="7",
        destination=tmp_path,
        labels=["malignant", "benign"],
        formats=["joblib", "skops", "onnx"],
        metadata={"author": "Ada"},
    )
    assert packed.path == tmp_path / "cancer" / "7"
    assert verify(packed.path, packed.digest).manifest == packed.manifest
    assert [item.kind for item in packed.manifest.formats] == ["onnx", "skops", "joblib"]
    assert packed.manifest.formats[0].precision == "float64"
    for item in packed.manifest.formats:
        assert item.parity is not None
        assert item.parity.agreement == 1
        assert item.parity.max_error < 1e-12
        assert item.parity.rows > len(CANCER.data)
        assert packed.proofs[item.kind].single_row_seconds > 0
    assert packed.manifest.metadata == {"author": "Ada"}
    assert packed.notes == ()
    assert {path.name for path in tmp_path.iterdir()} == {"cancer"}


def test_golden_rows_are_the_estimator_s_own_answers(tmp_path: Path, golden_of: Any) -> None:
    packed = pack(SCALED, CANCER.data, name="m", destination=tmp_path, formats=["onnx"])
    golden = golden_of(packed)
    rows = pd.DataFrame(golden.inputs, columns=CANCER.data.columns)
    assert len(golden.inputs) == 8
    assert [answer.prediction for answer in golden.outputs] == SCALED.predict(rows).tolist()
    assert [answer.probabilities for answer in golden.outputs] == [tuple(row) for row in SCALED.predict_proba(rows)]


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(21, random_state=0)])
def test_texts_numbers_and_missing_values_compile(tmp_path: Path, people: Any, fit_people: Any, model: Any) -> None:
    packed = pack(fit_people(model), people, name="m", destination=tmp_path, formats=["onnx"])
    signature = packed.manifest.signature
    assert signature is not None
    assert [(item.name, item.dtype, item.nullable) for item in signature.inputs] == [
        ("sex", "string", False),
        ("age", "float64", True),
        ("siblings", "int64", False),
        ("port", "string", True),
    ]
    assert packed.manifest.formats[0].precision == "float64"


def test_texts_in_any_script_compile(tmp_path: Path) -> None:
    texts = ["Très BON café", "ÄRGER über Öl", "très bon thé", "nur ärger hier", "хороший Чай", "good tea"] * 3
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0, 1, 1] * 3)
    packed = pack(model, texts, name="m", destination=tmp_path, formats=["onnx"])
    assert packed.manifest.signature is not None
    assert packed.manifest.signature.layout == "vector"


def test_several_outputs_are_served_without_classes(tmp_path: Path, golden_of: Any) -> None:
    rows, targets = datasets.load_linnerud(return_X_y=True)
    model = RandomForestRegressor(5, random_state=0).fit(rows, targets)
    packed = pack(model, rows, name="m", destination=tmp_path, formats=["onnx"])
    assert len(golden_of(packed).outputs[0].prediction) == 3


def test_without_a_converter_the_bundle_has_joblib_alone_and_says_why(tmp_path: Path) -> None:
    rows, targets = datasets.load_linnerud(return_X_y=True)
    packed = pack(RegressorChain(LinearRegression()).fit(rows, targets), rows, name="m", destination=tmp_path)
    assert [item.kind for item in packed.manifest.formats] == ["joblib"]
    assert packed.notes[0] == "onnx (float64, one tensor): the converter does not know RegressorChain"
    assert sorted(path.name for path in packed.path.iterdir()) == [
        "baseline.json",
        "golden.json",
        "manifest.json",
        "model.joblib",
    ]


class Elsewhere(ClassifierMixin, BaseEstimator):
    """Lives in this module, which no other process can import."""

    def fit(self, rows: Any, target: Any) -> "Elsewhere":
        self.classes_, self.n_features_in_ = np.unique(target), np.shape(rows)[1]
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows), dtype=int)


@pytest.mark.parametrize(
    ("model", "formats", "sentence"),
    [
        (Elsewhere(), ["onnx", "joblib"], r"onnx .*; joblib .as it is.: .*"),
        (NearestCentroid(), ["onnx"], r"predictions differ from the estimator's"),
    ],
)
def test_what_no_format_answers_right_is_not_published(
    tmp_path: Path, model: Any, formats: list[str], sentence: str
) -> None:
    with pytest.raises(PackRefused, match=f"no form of the model could be proven: .*{sentence}"):
        pack(model.fit(*IRIS), IRIS[0], name="m", destination=tmp_path, formats=formats)
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_replaced_only_by_force(tmp_path: Path) -> None:
    rows, target = IRIS
    model = LogisticRegression(max_iter=1000).fit(rows, target)
    first = pack(model, rows, name="iris", destination=tmp_path, formats=["onnx"])
    with pytest.raises(AlreadyPublished, match="choose a new version"):
        pack(model, rows[:100], name="iris", destination=tmp_path, formats=["onnx"])
    assert verify(first.path).digest == first.digest
    second = pack(model, rows[:100], name="iris", destination=tmp_path, formats=["onnx"], force=True)
    assert second.digest != first.digest
    assert verify(first.path).digest == second.digest


def test_rows_far_from_the_data_do_not_stop_an_estimator_that_refuses_them(tmp_path: Path, golden_of: Any) -> None:
    rows, target = IRIS
    model = RadiusNeighborsClassifier(0.8).fit(rows, target)
    packed = pack(model, rows, name="m", destination=tmp_path, formats=["joblib"])
    assert golden_of(packed).inputs


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"name": "../up"}, PathRefused, "name '../up' is refused"),
        ({"version": ""}, PathRefused, "version '' is refused"),
        ({"formats": ["pmml"]}, PackRefused, "expected a list of onnx, skops, joblib, got .'pmml'."),
        ({"formats": []}, PackRefused, "formats: expected a list"),
        ({"formats": "onnx"}, PackRefused, "formats: expected a list"),
        ({"metadata": {"when": object()}}, PackRefused, r"metadata\.when: expected a JSON value"),
        ({"metadata": {1: "a"}}, PackRefused, "metadata: expected keys that are text, got int 1"),
        ({"labels": ["a"]}, PackRefused, "labels: expected 2 texts"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    given = {"name": "m", "destination": tmp_path / "out"} | options
    with pytest.raises(error, match=sentence):
        pack(SCALED, CANCER.data, **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("epoch", ["abc", "1e400", "9" * 20])
def test_a_source_date_epoch_that_is_no_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(PackRefused, match=f"SOURCE_DATE_EPOCH={epoch!r}: expected whole seconds since 1970"):
        pack(SCALED, CANCER.data, name="m", destination=tmp_path / "out")
    assert not (tmp_path / "out").exists()
