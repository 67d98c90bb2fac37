"""What pushing needs of an object store, and how a bundle is committed to one: its manifest last.

A bucket has no rename. So the manifest is the commit point: whoever fetches sees no version before it is there, and
every object is created on condition that there is none, so that nothing is replaced unless someone said so. Until then
a marker lies beside the files, because a folder of model files without any manifest is something that people fetch too.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from model_artifact.bundle import SIGNATURE_PREFIX, Bundle
from model_artifact.delivery import AccessDenied
from model_artifact.digests import digest_bytes, sha256_file
from model_artifact.errors import ArtifactError
from model_artifact.manifest import MANIFEST, parse_manifest
from modelport.pushing.errors import Taken
from modelport.pushing.progress import Meter

FILES_AT_ONCE = 8
PUSHING = f"{SIGNATURE_PREFIX}pushing"
"""The marker: an empty object that comes first and goes after the manifest is there."""
Moved = Callable[[int], None]
"""Told how many bytes of a file have left so far."""


@dataclass(frozen=True)
class File:
    """One to send: its key below the version, where it lies, its size in bytes and hex sha256."""

    key: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Stored:
    """One that is there: size in bytes, and the sha256 that an earlier push noted beside it, if one did."""

    size: int
    sha256: str | None


class Store(Protocol):
    """The folder of one version in a bucket; keys are relative to it. Every call may raise DeliveryError."""

    @property
    def uri(self) -> str:
        """Of the version."""
        ...

    def stat(self, key: str) -> Stored | None:
        """What is known of an object; null when there is none."""
        ...

    def chunks(self, key: str) -> Iterator[bytes]:
        """The content of an object that exists."""
        ...

    def put(self, file: File, moved: Moved, *, replace: bool) -> None:
        """Store a file and note its sha256. Raises Taken when there is one already and `replace` is false."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that has gone already, by another push, is no error."""
        ...


def commit(store: Store, bundle: Bundle, meter: Meter, *, overwrite: bool) -> bool:
    """Send what is missing, then the manifest; an interrupted push goes on where it was.

    Returns:
        Whether the same bundle was there already, whole.

    Raises:
        Taken: other content is there, and `overwrite` is false.
        DeliveryError: the store refused or was away.
    """
    there = b"".join(store.chunks(MANIFEST)) if store.stat(MANIFEST) else None
    same = there is not None and digest_bytes(there) == bundle.digest
    if there is not None and not same and not overwrite:
        raise taken(store.uri, digest_bytes(there), bundle.digest)
    if there is None:
        store.put(File(PUSHING, Path(os.devnull), 0, sha256().hexdigest()), lambda _: None, replace=True)
    sent = _send_all(store, files_of(bundle), meter, overwrite=overwrite)
    if not same:
        _send_manifest(store, bundle, meter, replace=there is not None)
        _drop_replaced(store, bundle, there)
    if store.stat(PUSHING):
        with suppress(AccessDenied):  # who may only create leaves it; beside a manifest it means nothing
            store.delete(PUSHING)
    return same and not sent


def taken(uri: str, there: str, ours: str) -> Taken:
    """The error for a version that exists with other content."""
    return Taken(
        f"{uri} is there already with other content: it has {there}, this bundle is {ours}. "
        "Versions are not changed: pack under a new --version, or replace it on purpose with --overwrite"
    )


def files_of(bundle: Bundle) -> list[File]:
    """Everything but the manifest: the files that it lists, and the signatures that lie beside it."""
    listed = [File(entry.path, bundle.path(entry.path), entry.size, entry.sha256) for entry in bundle.manifest.files]
    signatures = sorted(bundle.directory.glob(f"{SIGNATURE_PREFIX}*"))
    return listed + [File(path.name, path, path.stat().st_size, sha256_file(path)) for path in signatures]


def manifest_file(bundle: Bundle) -> File:
    """The manifest itself."""
    path = bundle.path(MANIFEST)
    return File(MANIFEST, path, path.stat().st_size, bundle.digest.removeprefix("sha256:"))


def _send_all(store: Store, files: list[File], meter: Meter, *, overwrite: bool) -> int:
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        sending = [pool.submit(_send, store, meter, file, overwrite=overwrite) for file in files]
        try:
            return sum(done.result() for done in as_completed(sending))
        except BaseException:
            meter.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _send(store: Store, meter: Meter, file: File, *, overwrite: bool) -> bool:
    """Send one file unless it is there; returns whether it had to be sent."""
    there = store.stat(file.key)
    if there is not None and _is_same(store, there, file):
        meter.skip(file.size)
        return False
    if there is not None and not overwrite:
        raise _begun(store, file)
    try:
        store.put(file, partial(meter.at, file.key), replace=overwrite)
    except Taken as error:  # by another push, or by a try of ours whose answer was lost
        there = store.stat(file.key)
        if there is None or not _is_same(store, there, file):
            raise _begun(store, file) from error
    meter.at(file.key, file.size)
    return True


def _send_manifest(store: Store, bundle: Bundle, meter: Meter, *, replace: bool) -> None:
    file = manifest_file(bundle)
    try:
        store.put(file, partial(meter.at, file.key), replace=replace)
    except Taken as error:
        there = digest_bytes(b"".join(store.chunks(MANIFEST)))
        if there != bundle.digest:
            raise taken(store.uri, there, bundle.digest) from error
    meter.at(file.key, file.size)


def _drop_replaced(store: Store, bundle: Bundle, replaced: bytes | None) -> None:
    """Remove what only the replaced manifest listed. One that cannot be read lists nothing."""
    if replaced is None:
        return
    kept = {file.key for file in files_of(bundle)}
    with suppress(ArtifactError):
        for entry in parse_manifest(replaced).files:
            if entry.path not in kept and store.stat(entry.path):
                store.delete(entry.path)


def _is_same(store: Store, there: Stored, file: File) -> bool:
    if there.size != file.size:
        return False
    return (there.sha256 or _hashed(store, file.key)) == file.sha256


def _hashed(store: Store, key: str) -> str:
    found = sha256()
    for chunk in store.chunks(key):
        found.update(chunk)
    return found.hexdigest()


def _begun(store: Store, file: File) -> Taken:
    return Taken(
        f"{store.uri}/{file.key} is there already with other content, from a push that was interrupted or is still "
        "running: pack under a new --version, or replace what is there on purpose with --overwrite"
    )
