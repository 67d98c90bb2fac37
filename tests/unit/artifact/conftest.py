"""What several test files of the contract need: small bundles on disk, and no time limit on a busy machine."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from model_artifact.digests import digest_bytes
from model_artifact.manifest import FileEntry, Format, Manifest, write_manifest

settings.register_profile("contract", deadline=None)
settings.load_profile("contract")

MakeBundle = Callable[..., Path]


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> MakeBundle:
    """Return a function that writes files and their manifest to a folder (a new one by default)."""

    def make(
        contents: Mapping[str, bytes] = {"model.onnx": b"weights"},
        *,
        folder: Path | None = None,
        name: str = "churn",
        version: str = "1",
    ) -> Path:
        folder = folder or tmp_path_factory.mktemp("bundle")
        for path, content in contents.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        entries = tuple(
            FileEntry(path, len(content), digest_bytes(content).removeprefix("sha256:"))
            for path, content in contents.items()
        )
        manifest = Manifest(
            name, version, "2026-01-31T08:30:00Z", files=entries, formats=(Format("onnx", entries[0].path),)
        )
        (folder / "manifest.json").write_bytes(write_manifest(manifest))
        return folder

    return make
