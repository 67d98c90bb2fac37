"""Whole packs of real data, proven through the service's own runtime."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import RegressorChain
from sklearn.neighbors import NearestCentroid, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model_artifact.bundle import verify
from model_artifact.coercion import Problem, RowCoercer
from model_artifact.errors import AlreadyPublished, PathRefused
from model_artifact.samples import parse_golden
from modelport.packing import Packed, PackRefused, pack, pack_file

CANCER = datasets.load_breast_cancer(as_frame=True)
SCALED = make_pipeline(StandardScaler(), LogisticRegression()).fit(CANCER.data, CANCER.target)
IRIS = datasets.load_iris(return_X_y=True)


def passengers() -> tuple[pd.DataFrame, list[str]]:
    random = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "sex": random.choice(["female", "male"], 200),
            "age": np.where(random.random(200) < 0.2, np.nan, random.normal(40, 12, 200).round(1)),
            "siblings": random.integers(0, 4, 200),
            "port": np.where(random.random(200) < 0.1, None, random.choice(["C", "Q", "S"], 200)),
        }
    )
    return table, np.where((table["sex"] == "female") ^ (random.random(200) < 0.1), "yes", "no").tolist()


def columns_pipeline(model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("n", numbers, ["age", "siblings"]), ("t", texts, ["sex", "port"])])
    return make_pipeline(columns, model)


def golden_of(packed: Packed) -> Any:
    return parse_golden((packed.path / "golden.json").read_bytes())


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


def test_golden_rows_are_the_estimator_s_own_answers(tmp_path: Path) -> None:
    packed = pack(SCALED, CANCER.data, name="m", destination=tmp_path, formats=["onnx"])
    golden = golden_of(packed)
    rows = pd.DataFrame(golden.inputs, columns=CANCER.data.columns)
    assert len(golden.inputs) == 8
    assert [answer.prediction for answer in golden.outputs] == SCALED.predict(rows).tolist()
    assert [answer.probabilities for answer in golden.outputs] == [tuple(row) for row in SCALED.predict_proba(rows)]


@pytest.mark.parametrize("model", [LogisticRegression(), RandomForestClassifier(21, random_state=0)])
def test_texts_numbers_and_missing_values_compile(tmp_path: Path, model: Any) -> None:
    table, target = passengers()
    packed = pack(columns_pipeline(model).fit(table, target), table, name="m", destination=tmp_path, formats=["onnx"])
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


def test_several_outputs_are_served_without_classes(tmp_path: Path) -> None:
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


def test_constraints_and_rules_reach_manifest_golden_rows_and_examples(tmp_path: Path) -> None:
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


def test_rows_far_from_the_data_do_not_stop_an_estimator_that_refuses_them(tmp_path: Path) -> None:
    rows, target = IRIS
    model = RadiusNeighborsClassifier(0.8).fit(rows, target)
    packed = pack(model, rows, name="m", destination=tmp_path, formats=["joblib"])
    assert golden_of(packed).inputs


def canaries() -> tuple[pd.DataFrame, list[int]]:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "number": random.uniform(1000, 9999, 60).round(3),
            "note": [f"canary{random.integers(10**9)} sings" for _ in range(60)],
        }
    )
    return table, [0, 1] * 30


def files_beside_the_model(packed: Packed) -> str:
    others = [path for path in packed.path.iterdir() if not path.name.startswith("model.")]
    return "".join(path.read_text() for path in others)


def canary_model() -> Any:
    columns = ColumnTransformer([("n", StandardScaler(), ["number"]), ("t", TfidfVectorizer(), "note")])
    table, target = canaries()
    return make_pipeline(columns, LogisticRegression()).fit(table, target)


def test_no_training_row_leaves_the_training_side(tmp_path: Path) -> None:
    table, _ = canaries()
    text = files_beside_the_model(pack(canary_model(), table, name="m", destination=tmp_path, formats=["onnx"]))
    assert not [value for value in [*table["note"], *table["number"].astype(str)] if value in text]
    assert not [word for note in table["note"] for word in note.split() if word.startswith("canary") and word in text]


def test_training_rows_are_kept_on_request(tmp_path: Path) -> None:
    table, _ = canaries()
    packed = pack(canary_model(), table, name="m", destination=tmp_path, formats=["onnx"], keep_training_rows=True)
    assert list(golden_of(packed).inputs[0]) in table.to_numpy().tolist()


def test_files_pack_as_objects_do_and_in_every_process_the_same(tmp_path: Path) -> None:
    table, target = passengers()
    joblib.dump(columns_pipeline(LogisticRegression()).fit(table, target), tmp_path / "model.joblib")
    table.assign(target=target).to_csv(tmp_path / "sample.csv", index=False)
    code = (
        "import sys, pathlib; from modelport.packing import pack_file; folder = pathlib.Path(sys.argv[1]);"
        "print(pack_file(folder / 'model.joblib', folder / 'sample.csv', name='m', destination=folder / sys.argv[2],"
        "formats=['onnx', 'joblib']).digest)"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), place],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for place, seed in (("a", "1"), ("b", "2"))
    ]
    assert digests[0] == digests[1]
    manifest = json.loads((tmp_path / "a" / "m" / "1" / "manifest.json").read_text())
    assert manifest["created"] == "2023-11-14T22:13:20Z"
    for path in (tmp_path / "a" / "m" / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "m" / "1" / path.name).read_bytes()


def test_pack_file_packs_here_too(tmp_path: Path) -> None:
    joblib.dump(SCALED, tmp_path / "model.joblib")
    CANCER.data.to_csv(tmp_path / "sample.csv", index=False)
    options: dict[str, Any] = {"name": "m", "destination": tmp_path, "formats": ["onnx"]}
    assert pack_file(tmp_path / "model.joblib", tmp_path / "sample.csv", **options).path == tmp_path / "m" / "1"


def test_the_summary_says_what_is_there_and_what_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, target = passengers()
    model = columns_pipeline(LogisticRegression()).fit(table, target)
    features = {"features": {"age": {"ge": 0, "le": 120}, "port": {"categories": ["C", "Q", "S"]}}}
    with caplog.at_level(logging.INFO, "modelport"):
        packed = pack(model, table, name="people", destination=tmp_path, features=features, formats=["onnx"])
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


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"name": "../up"}, PathRefused, "name '../up' is refused"),
        ({"version": ""}, PathRefused, "version '' is refused"),
        ({"formats": ["pmml"]}, PackRefused, "expected a list of onnx, skops, joblib, got .'pmml'."),
        ({"formats": []}, PackRefused, "formats: expected a list"),
        ({"formats": "onnx"}, PackRefused, "formats: expected a list"),
        ({"metadata": {"when": object()}}, PackRefused, "metadata must be plain JSON values"),
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
