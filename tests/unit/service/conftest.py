"""Bundles written by hand, so that a test can make any part of one wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
from fastapi.testclient import TestClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from support.bundles import Packed, iris_signature, onnx_bytes
from support.clients import starting

from model_artifact.digests import sha256_file
from model_artifact.framework import describe_environment
from model_artifact.manifest import FileEntry, Format, Manifest, write_manifest
from model_artifact.samples import Answer, Golden
from model_artifact.strict import dumps


@pytest.fixture(scope="session")
def iris() -> Any:
    data = load_iris()
    return LogisticRegression(max_iter=500).fit(data.data, data.target)


@pytest.fixture(scope="session")
def iris_rows() -> list[list[float]]:
    rows: list[list[float]] = load_iris().data.tolist()
    return rows


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Packed]:
    """Write `files` (kind to estimator or bytes) as a bundle; keywords go to the manifest, `hooks` is their text."""

    def write(files: dict[str, Any], name: str = "iris", version: str = "1", **parts: Any) -> Packed:
        directory = tmp_path / "root" / name / version
        directory.mkdir(parents=True)
        formats = tuple(Format(kind, f"model.{kind}") for kind in files)  # type: ignore[arg-type]
        for kind, content in files.items():
            path = directory / f"model.{kind}"
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif kind == "joblib":
                joblib.dump(content, path)
            else:
                skops.io.dump(content, path)
        if isinstance(parts.get("golden"), Golden):
            (directory / "golden.json").write_bytes(dumps(parts["golden"]))
            parts["golden"] = "golden.json"
        if "hooks" in parts:
            (directory / "hooks.py").write_text(parts["hooks"])
            parts["hooks"] = "hooks.py"
        entries = tuple(
            FileEntry(path.name, path.stat().st_size, sha256_file(path)) for path in sorted(directory.iterdir())
        )
        manifest = Manifest(
            name, version, "2026-01-01T00:00:00Z", entries, formats,
            **{"framework": describe_environment(), "signature": iris_signature()} | parts,
        )  # fmt: skip
        (directory / "manifest.json").write_bytes(write_manifest(manifest))
        return Packed(tmp_path / "root", directory, manifest)

    return write


@pytest.fixture
def iris_bundle(write_bundle: Callable[..., Packed], iris: Any, iris_rows: list[list[float]]) -> Packed:
    rows = tuple(iris_rows[::30])
    answers = zip(iris.predict(rows).tolist(), iris.predict_proba(rows).tolist(), strict=True)
    golden = Golden(rows, tuple(Answer(value, tuple(scores)) for value, scores in answers))
    return write_bundle({"onnx": onnx_bytes(iris, 4), "joblib": iris}, golden=golden)


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """Start the application on a bundle's root; keywords are settings."""

    def on(packed: Packed, **settings: Any) -> TestClient:
        return start(model_root=packed.root, **settings)

    with starting() as start:
        yield on


@pytest.fixture
def client(serve: Callable[..., TestClient], iris_bundle: Packed) -> TestClient:
    """The iris model, from ONNX."""
    return serve(iris_bundle)
