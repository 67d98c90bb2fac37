"""Model files that nobody packed, on volumes that are only read: where they may lie, and their manifest in memory.

One may lie where a bundle would, as all that `<root>/<name>/<version>/` holds, or straight in the root: then its stem
is the name. A folder that holds anything else is none: it may be a bundle that somebody is still copying.
"""

import os
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from model_artifact.bundle import LOST, Bundle
from model_artifact.digests import Tell, digest_bytes, sha256_file, silent
from model_artifact.errors import DigestMismatch, PathRefused
from model_artifact.manifest import MANIFEST, FileEntry, Format, Manifest, model_kind, write_manifest

BARE_VERSION = "1"
"""Of a file that lies straight in the root."""


def lone_model(folder: Path) -> Path | None:
    """The model file that is all a folder holds."""
    if not folder.is_dir():
        return None
    with os.scandir(folder) as entries:
        first = list(islice((entry for entry in entries if entry.name != LOST), 2))
    alone = len(first) == 1 and model_kind(first[0].name) and first[0].is_file(follow_symlinks=False)
    return Path(first[0].path) if alone else None


def named_models(root: Path, name: str) -> list[Path]:
    """The model files in `root` whose stem is `name`: one, or none, or several that cannot be told apart."""
    found = [path for path in root.glob(f"{name}.*") if path.stem == name and model_kind(path.name)]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def bare_bundle(file: Path, name: str, version: str, expected_digest: str | None = None, tell: Tell = silent) -> Bundle:
    """Hash a model file and describe it by a manifest that is written nowhere, marked `origin: fetched`.

    Its time is the file's own, so that everybody who reads the volume gets the same digest.

    Args:
        file: `.onnx`, `.skops`, `.joblib`, `.pkl` or `.pickle`.
        name: of the model.
        version: of the model.
        expected_digest: pin of a bundle, which no bare file has.
        tell: hears of the bytes as they are hashed.

    Raises:
        DigestMismatch: a digest was expected.
        PathRefused: it is no model file, or name or version cannot be one.
    """
    if expected_digest is not None:
        raise DigestMismatch(
            f"{file} is a bare file without a {MANIFEST}, which no digest can pin: pin its sha256, or pack it"
        )
    kind = model_kind(file.name)
    if kind is None:
        raise PathRefused(f"{str(file)!r} is no model file")
    info = file.stat()
    manifest = Manifest(
        name=name,
        version=version,
        created=datetime.fromtimestamp(info.st_mtime, UTC).isoformat(),
        files=(FileEntry(file.name, info.st_size, sha256_file(file, tell)),),
        formats=(Format(kind, file.name),),
        origin="fetched",
    )
    return Bundle(file.parent, manifest, digest_bytes(write_manifest(manifest)))
