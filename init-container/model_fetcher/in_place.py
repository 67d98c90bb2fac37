"""Verifying a model where it lies, on a claim or image that is mounted: nothing is copied, and nothing written to it.

What is verified is what the service will serve by default: other versions of the volume it verifies when they are asked
for, and one of those that is damaged is no reason for a pod not to start.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_artifact.bare import BARE_VERSION, bare_bundle
from model_artifact.bundle import Bundle, open_bundle, verify
from model_artifact.delivery import (
    ARTIFACT_ERRORS,
    AccessDenied,
    ChecksumMismatch,
    DeliveryError,
    NotFound,
    Unreachable,
    Usage,
    translated,
)
from model_artifact.digests import same_digest
from model_artifact.manifest import MANIFEST
from model_artifact.paths import is_name
from model_artifact.publish import default_version, published_file, published_models, published_versions
from model_fetcher.fetch import Outcome
from model_fetcher.plan import Wanted, first_of, refuse_other, require_pin
from model_fetcher.progress import Progress
from model_fetcher.uris import local_path, redact, scheme_of

READ_FAULTS: dict[int, type[DeliveryError]] = {errno.EACCES: AccessDenied, errno.EPERM: AccessDenied}


@dataclass(frozen=True)
class Found:
    """A bundle's folder, or a bare file with the name and version that it is served under."""

    path: Path
    name: str = ""
    version: str = ""


def verify_in_place(wanted: Wanted, progress: Progress, *, require_pinned: bool = False) -> Outcome:
    """Hash what lies at a path: a model root, a folder of versions, a bundle, or a bare file.

    Args:
        wanted: its URI is the path. Name, version and digest choose one of several; without them the highest version.
        progress: hears of the bytes as they are read.
        require_pinned: refuse what neither digest nor sha256 pins.

    Raises:
        DeliveryError: with `uri` and `identity` filled in, and the exit codes of a fetch.
    """
    began, identity = time.monotonic(), f"local user {os.getuid()}"
    try:
        with _reading():
            if require_pinned:
                require_pin(wanted)
            bundle = _verify(_find(_path(wanted.uri), wanted), wanted, progress)
    except DeliveryError as error:
        error.uri, error.identity = redact(wanted.uri), identity
        raise
    name, version, seconds = bundle.manifest.name, bundle.manifest.version, time.monotonic() - began
    return Outcome(bundle.directory, name, version, bundle.digest, 0, seconds, identity, already_there=True)


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what goes wrong with the volume into ours; bytes that may not be read are no wrong ones."""
    try:
        with translated(ARTIFACT_ERRORS):
            yield
    except DeliveryError as error:
        cause = error.__cause__.__cause__ if error.__cause__ is not None else None
        if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError | NotADirectoryError):
            raise READ_FAULTS.get(cause.errno or 0, Unreachable)(str(error)) from error
        raise
    except OSError as error:
        kind = READ_FAULTS.get(error.errno or 0, Unreachable)
        raise kind(f"cannot read {error.filename}: {error.strerror or error}") from error


def _path(uri: str) -> Path:
    if scheme_of(uri) != "file":
        raise Usage(f"{redact(uri)} is fetched, and does not lie here: --in-place takes a path")
    path = Path(local_path(uri))
    return path if path.name else path.resolve()


def _find(path: Path, wanted: Wanted) -> Found:
    if path.is_file():
        return Found(path, wanted.name or path.stem, wanted.version or BARE_VERSION)
    if (path / MANIFEST).is_file():
        return Found(path)
    models = published_models(path) if path.is_dir() else []
    if models:
        return _choose(path, _name(path, models, wanted), wanted)
    if is_name(path.name) and published_versions(path.parent, path.name):
        return _choose(path.parent, path.name, wanted)
    if not path.exists():
        raise NotFound(f"{path} does not exist: is the volume mounted there?")
    there = f"it has {first_of(sorted(entry.name for entry in path.iterdir()))}" if path.is_dir() else "it is no folder"
    raise NotFound(
        f"{path} holds no model: neither {MANIFEST}, VERSION/{MANIFEST}, NAME/VERSION/{MANIFEST} nor a bare model "
        f"file; {there}"
    )


def _name(root: Path, models: list[str], wanted: Wanted) -> str:
    if wanted.name is None and len(models) > 1:
        raise Usage(f"{root} holds {first_of(models)}: say which with --name")
    name = wanted.name or models[0]
    if name not in models:
        raise NotFound(f"{root} holds no model {name}; there is {first_of(models)}")
    return name


def _choose(root: Path, name: str, wanted: Wanted) -> Found:
    versions = published_versions(root, name)
    version = wanted.version or default_version(root, name, wanted.digest)
    if version is None or version not in versions:
        raise NotFound(f"{root} holds no {name} version {version}; there is {first_of(versions)}")
    file = published_file(root, name, version)
    return Found(root / name / version) if file is None else Found(file, name, version)


def _verify(found: Found, wanted: Wanted, progress: Progress) -> Bundle:
    bundle = (_verify_file if found.path.is_file() else _verify_bundle)(found, wanted, progress)
    progress.end()
    return bundle


def _verify_file(found: Found, wanted: Wanted, progress: Progress) -> Bundle:
    if wanted.digest:
        raise Usage(f"{found.path} is a bare file: pin it with --sha256 (--digest pins a bundle's {MANIFEST})")
    progress.begin(found.name, found.path.stat().st_size)
    bundle = bare_bundle(found.path, found.name, found.version, tell=progress.add)
    _require_sha256(bundle, wanted)
    return bundle


def _verify_bundle(found: Found, wanted: Wanted, progress: Progress) -> Bundle:
    bundle = open_bundle(found.path, wanted.digest)
    refuse_other(bundle.manifest, wanted, str(found.path))
    _require_sha256(bundle, wanted)
    progress.begin(bundle.manifest.name, sum(entry.size for entry in bundle.manifest.files))
    return verify(found.path, bundle.digest, progress.add)


def _require_sha256(bundle: Bundle, wanted: Wanted) -> None:
    if wanted.sha256 is None:
        return
    formats = bundle.manifest.formats
    if len(formats) > 1:
        raise Usage(f"{bundle.directory} is a bundle: pin it with --digest (--sha256 pins a bare model file)")
    file = bundle.manifest.file(formats[0].path)
    if not same_digest(file.sha256, wanted.sha256):
        raise ChecksumMismatch(f"{bundle.path(file.path)}: expected {wanted.sha256}, found sha256:{file.sha256}")
