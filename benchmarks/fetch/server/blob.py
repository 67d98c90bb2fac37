"""What is served: objects that are slices of one file of random bytes, with the checksums that stores keep of them."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

MIB = 1 << 20
ONE = "one/model.onnx"
MANY = "many/churn/1"


@dataclass(frozen=True)
class Object:
    """A slice of the file: where it begins, its bytes, and its checksums (hex sha256, base64 of the others)."""

    offset: int
    size: int
    sha256: str
    md5: str
    crc32c: str

    @property
    def etag(self) -> str:
        """As a store would give it."""
        return base64.b64decode(self.md5).hex()


@dataclass(frozen=True)
class Blob:
    """The file, and its objects by key."""

    path: Path
    objects: Mapping[str, Object]

    def below(self, prefix: str) -> dict[str, str]:
        """Hex sha256 by key below the prefix: what a fetch of that folder must leave on disk."""
        folder = f"{prefix}/"
        return {key.removeprefix(folder): item.sha256 for key, item in self.objects.items() if key.startswith(folder)}


def make(folder: Path, mebibytes: int, count: int) -> Blob:
    """Write the file: one object of `mebibytes`, and `count` of 1 MiB, which share its bytes, in a bundle."""
    path = folder / "blob"
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(max(mebibytes, count)):
            file.write(random.bytes(MIB))
        objects = {ONE: _object(path, 0, mebibytes * MIB)}
        names = {f"data/part-{number:04}.bin": _object(path, number * MIB, MIB) for number in range(count - 1)}
        names["model.onnx"] = _object(path, (count - 1) * MIB, MIB)
        objects |= {f"{MANY}/{name}": item for name, item in names.items()}
        start, manifest = file.tell(), _manifest(names)
        file.write(manifest)
    objects[f"{MANY}/manifest.json"] = _object(path, start, len(manifest))
    return Blob(path, objects)


def _manifest(files: Mapping[str, Object]) -> bytes:
    document = {
        "schemaVersion": 1,
        "name": "churn",
        "version": "1",
        "created": "2026-01-01T00:00:00Z",
        "files": [{"path": name, "size": item.size, "sha256": item.sha256} for name, item in files.items()],
        "formats": [{"kind": "onnx", "path": "model.onnx"}],
    }
    return json.dumps(document).encode()


def _object(path: Path, offset: int, size: int) -> Object:
    sha256, md5, crc32c = hashlib.sha256(), hashlib.md5(usedforsecurity=False), google_crc32c.Checksum()
    for chunk in _chunks(path, offset, size):
        for kind in (sha256, md5, crc32c):
            kind.update(chunk)
    encoded = [base64.b64encode(kind.digest()).decode() for kind in (md5, crc32c)]
    return Object(offset, size, sha256.hexdigest(), *encoded)


def _chunks(path: Path, offset: int, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        left = size
        while left:
            chunk = file.read(min(left, 8 * MIB))
            left -= len(chunk)
            yield chunk


def save(blob: Blob, path: Path) -> None:
    """Write the list of objects for the server, which is another process."""
    document = {"path": str(blob.path), "objects": {key: vars(item) for key, item in blob.objects.items()}}
    path.write_text(json.dumps(document))


def load(path: Path) -> Blob:
    """Read what `save` wrote."""
    document = json.loads(path.read_text())
    return Blob(Path(document["path"]), {key: Object(**item) for key, item in document["objects"].items()})
