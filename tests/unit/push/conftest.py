import json
from hashlib import sha256
from pathlib import Path

import pytest

from model_artifact.bundle import Bundle, open_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """The smallest: one file that is no model."""
    folder = tmp_path / "models" / "churn" / "3"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"graph")
    manifest = {
        "schemaVersion": 1,
        "name": "churn",
        "version": "3",
        "created": "2026-01-01T00:00:00Z",
        "files": [{"path": "model.onnx", "size": 5, "sha256": sha256(b"graph").hexdigest()}],
        "formats": [{"kind": "onnx", "path": "model.onnx"}],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)
