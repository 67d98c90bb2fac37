"""Model files without a manifest on a volume that is mounted: served as they lie, under the same policy as all."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib
import pytest
from fastapi.testclient import TestClient
from support.bundles import Packed, onnx_bytes

from model_artifact.bundle import open_bundle
from model_service.app import create_app
from model_service.errors import LoadFailed
from model_service.settings import Settings

Serve = Callable[..., TestClient]


def test_an_onnx_file_in_the_root_is_served_under_its_stem(serve: Serve, tmp_path: Path, iris: Any) -> None:
    (tmp_path / "iris.onnx").write_bytes(onnx_bytes(iris, 4))
    client = serve(Packed(tmp_path, tmp_path, None))
    body = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).json()
    assert (body["prediction"], body["model_name"], body["model_version"]) == (0, "iris", "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iris.onnx"]


def test_a_pinned_pickle_that_is_all_of_a_version_is_served(serve: Serve, tmp_path: Path, iris: Any) -> None:
    folder = tmp_path / "iris" / "7"
    folder.mkdir(parents=True)
    joblib.dump(iris, folder / "anything.joblib")
    pin = sha256((folder / "anything.joblib").read_bytes()).hexdigest()
    client = serve(Packed(tmp_path, folder, None), model_sha256=pin, require_pinned=True)
    assert client.get("/health").json()["models"][0]["version"] == "7"
    for settings in ({}, {"model_sha256": "0" * 64}):
        with pytest.raises(LoadFailed), TestClient(create_app(Settings(model_root=tmp_path, **settings))):
            pass


def test_the_digest_chooses_among_versions(serve: Serve, write_bundle: Callable[..., Packed], iris: Any) -> None:
    for version in ("1", "2", "10"):
        packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, version=version)
    digest = open_bundle(packed.root / "iris" / "2").digest
    assert serve(packed).get("/health").json()["models"][0]["version"] == "10"
    assert serve(packed, model_digest=digest).get("/health").json()["models"][0]["version"] == "2"


def test_a_root_that_cannot_be_told_apart_is_a_reason_and_no_traceback(tmp_path: Path, iris: Any) -> None:
    (tmp_path / "iris.onnx").write_bytes(onnx_bytes(iris, 4))
    joblib.dump(iris, tmp_path / "iris.joblib")
    with (
        pytest.raises(LoadFailed, match=r"iris\.joblib, iris\.onnx: which one is iris"),
        TestClient(create_app(Settings(model_root=tmp_path))),
    ):
        pass
