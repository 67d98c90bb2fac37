"""`manifest.json`: the one file that lists everything else in a bundle, and whose digest therefore pins everything."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal

from model_artifact import strict
from model_artifact.errors import ManifestInvalid
from model_artifact.paths import check_name, refuse_collisions, safe_relative
from model_artifact.signature import Signature

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
MAX_BYTES = 16 << 20

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)

FormatKind = Literal["onnx", "skops", "joblib"]
MODEL_SUFFIXES: dict[str, FormatKind] = {
    ".onnx": "onnx",
    ".skops": "skops",
    ".joblib": "joblib",
    ".pkl": "joblib",
    ".pickle": "joblib",
}
"""What a bare model file is, by its ending."""


def model_kind(path: str) -> FormatKind | None:
    """What a file is by the ending of its name, whatever its case; null where it is no model."""
    return MODEL_SUFFIXES.get(PurePosixPath(path).suffix.lower())


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle: relative POSIX path, bytes, hex sha256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Framework:
    """What the estimator was fitted with; checked before anything is unpickled. `packages` maps name to version."""

    library: str
    version: str
    python: str
    packages: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parity:
    """How a compiled format compared with the estimator: rows, largest score error, share of equal predictions."""

    rows: int
    max_error: float
    agreement: float


@dataclass(frozen=True)
class Format:
    """One form of the model in the bundle; `precision` and `parity` belong to compiled ones."""

    kind: FormatKind
    path: str
    precision: Literal["float64", "float32"] | None = None
    parity: Parity | None = None


@dataclass(frozen=True)
class Manifest:
    """The contract between pack, fetch and serve. Times are RFC 3339 in UTC.

    `origin` is `packed` for bundles and `fetched` for those written around a bare file. `signature` is null where it
    is not known (a bare file). `golden`, `baseline` and `hooks` (Python code that runs with the model) are paths of
    files in the bundle.
    """

    name: str
    version: str
    created: str
    files: tuple[FileEntry, ...]
    formats: tuple[Format, ...]
    schema_version: int = SCHEMA_VERSION
    origin: Literal["packed", "fetched"] = "packed"
    framework: Framework | None = None
    signature: Signature | None = None
    golden: str | None = None
    baseline: str | None = None
    hooks: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_name(self.version, "version")
        paths = [safe_relative(entry.path) for entry in self.files]
        refuse_collisions([MANIFEST, *paths])
        referred = [item.path for item in self.formats] + [
            path for path in (self.golden, self.baseline, self.hooks) if path is not None
        ]
        missing = sorted(set(referred) - set(paths))
        kinds = Counter(item.kind for item in self.formats)
        for broken, sentence in (
            (bool(missing), f"{', '.join(missing)!r} is referred to but not listed under files"),
            (not self.formats, "formats: at least one is needed"),
            (any(count > 1 for count in kinds.values()), "formats: a kind is listed twice"),
            (any(not _is_sha256(entry.sha256) for entry in self.files), "files: a sha256 is not 64 hex digits"),
            (any(entry.size < 0 for entry in self.files), "files: a size is negative"),
            (not _is_time(self.created), "created: expected an RFC 3339 time such as 2026-01-31T08:30:00Z"),
        ):
            if broken:
                raise ManifestInvalid(sentence)

    def format(self, kind: str) -> Format | None:
        """The bundle's format of that kind, if it has one."""
        return next((item for item in self.formats if item.kind == kind), None)

    def file(self, path: str) -> FileEntry:
        """The entry of a listed path. Raises KeyError for any other."""
        return {entry.path: entry for entry in self.files}[path]


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest's exact bytes.

    Raises:
        ManifestInvalid: naming the field; also for a `schemaVersion` this release does not know.
        PathRefused: a path in it is not safe.
    """
    if len(data) > MAX_BYTES:
        raise ManifestInvalid(f"{MANIFEST} is larger than {MAX_BYTES >> 20} MiB")
    document = strict.loads(data, MANIFEST)
    version = document.get("schemaVersion")
    if version != SCHEMA_VERSION or type(version) is not int:
        raise ManifestInvalid(
            f"{MANIFEST}: schemaVersion is {str(version)[:80]} and this release reads {SCHEMA_VERSION}: "
            "upgrade modelport, or pack again"
        )
    return strict.read(Manifest, document, MANIFEST)


def write_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of `manifest.json`; `schemaVersion` comes first so that any later release can read it.

    Raises:
        ManifestInvalid: it would be larger than 16 MiB, or its metadata is not JSON.
    """
    data = strict.dumps(manifest, schemaVersion=manifest.schema_version)
    if len(data) > MAX_BYTES:
        raise ManifestInvalid(f"{MANIFEST} would be larger than {MAX_BYTES >> 20} MiB: shorten its metadata")
    return data
