"""Pieces of hand-written bundles, so that a test can make any part of one wrong."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import joblib
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from model_artifact.digests import sha256_file
from model_artifact.manifest import FileEntry, Format, Manifest, write_manifest
from model_artifact.signature import Feature, Output, Signature

IRIS_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
LABELS = ("setosa", "versicolor", "virginica")


@dataclasses.dataclass(frozen=True)
class Packed:
    """A bundle below `root`, with what a test wants to know of it."""

    root: Path
    directory: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        return f"sha256:{sha256_file(self.directory / 'manifest.json')}"


def write_bare(root: Path, estimator: Any, name: str = "model", version: str = "1") -> Path:
    """Publish a pickled estimator without a signature, as the fetcher does with a bare file; gives its folder."""
    directory = root / name / version
    directory.mkdir(parents=True)
    model = directory / "model.joblib"
    joblib.dump(estimator, model)
    entry = FileEntry(model.name, model.stat().st_size, sha256_file(model))
    formats = (Format("joblib", model.name),)
    manifest = Manifest(name, version, "2026-01-01T00:00:00Z", (entry,), formats, origin="fetched")
    (directory / "manifest.json").write_bytes(write_manifest(manifest))
    return directory


def write_iris(root: Path) -> Path:
    """A bare file of a small tree on the iris data, as the model `iris`; gives the root."""
    data = load_iris()
    write_bare(root, DecisionTreeClassifier(max_depth=2).fit(data.data, data.target), name="iris")
    return root


def iris_signature(layout: Any = "matrix") -> Signature:
    inputs = tuple(Feature(name, "float64", ge=0, le=20, example=1.5) for name in IRIS_NAMES)
    outputs = (Output("prediction", "int64"), Output("probabilities", "float64", (3,)))
    return Signature("classification", layout, inputs, outputs, (0, 1, 2), LABELS)


def onnx_bytes(estimator: Any, width: int) -> bytes:
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = to_onnx(estimator, initial_types=[("features", DoubleTensorType([None, width]))], options=options)
    content: bytes = model.SerializeToString()
    return content


def answer_wrong(bundle: Path) -> None:
    """Make a bundle's first golden answer one that no model gives, with digests that fit."""
    golden = json.loads((bundle / "golden.json").read_text())
    golden["outputs"][0]["prediction"] = 999
    (bundle / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((bundle / "manifest.json").read_text())
    for entry in manifest["files"]:
        content = (bundle / entry["path"]).read_bytes()
        entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
