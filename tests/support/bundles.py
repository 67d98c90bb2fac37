"""Pieces of hand-written bundles, so that a test can make any part of one wrong."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType

from model_artifact.digests import sha256_file
from model_artifact.manifest import Manifest
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
