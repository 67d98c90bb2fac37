"""Bundles written by hand, and the command run in this process."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from model_artifact import strict
from model_artifact.bundle import Bundle, open_bundle
from model_artifact.framework import describe_environment
from model_artifact.manifest import MANIFEST, FileEntry, Format, Manifest, Parity, write_manifest
from model_artifact.samples import Answer, Golden
from model_artifact.signature import Feature, Output, Rule, Signature
from modelport.cli import main

SIGNATURE = Signature(
    "classification",
    "frame",
    (
        Feature("age", "int64", ge=18, lt=120, default=35, description="years"),
        Feature("plan", "string", nullable=True, categories=tuple("abcdefgh")),
        Feature("price", "float64", computed="age * 2"),
    ),
    (Output("prediction", "int64"), Output("probabilities", "float64", (2,))),
    (0, 1),
    ("stays", "leaves"),
    (Rule("price > age", "the price is above the age"),),
)
GOLDEN = Golden(inputs=((40, "a", 80.0),), outputs=(Answer(1, (0.25, 0.75)),))


def write_bundle(folder: Path, **changes: Any) -> Bundle:
    """A complete bundle whose model file is no model."""
    contents = {"model.onnx": b"onnx", "model.joblib": b"joblib", "golden.json": strict.dumps(GOLDEN)}
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    files = tuple(FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items())
    fields = {
        "name": "churn",
        "version": "3",
        "created": "2026-01-02T03:04:05Z",
        "files": files,
        "formats": (Format("onnx", "model.onnx", "float64", Parity(150, 2e-16, 1.0)), Format("joblib", "model.joblib")),
        "framework": describe_environment(),
        "signature": SIGNATURE,
        "golden": "golden.json",
        "metadata": {"author": "ada"},
    }
    (folder / MANIFEST).write_bytes(write_manifest(Manifest(**fields | changes)))
    return open_bundle(folder)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "models" / "churn" / "3")


@pytest.fixture
def make_bundle() -> Callable[..., Bundle]:
    return write_bundle


@pytest.fixture
def run() -> Callable[..., Result]:
    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)

    return invoke


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test starts without settings of its own."""
    for name in [name for name in os.environ if name.startswith("MODELPORT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
