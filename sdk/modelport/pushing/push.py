"""The use case: verify what is here, find its place, hand it to the scheme, say what to deploy."""

import difflib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from model_artifact.bundle import Bundle, verify
from model_artifact.delivery import Usage
from modelport.pushing.folder import push_to_folder
from modelport.pushing.places import scheme_of, version_uri
from modelport.pushing.progress import Meter, Progress, Tell
from modelport.pushing.store import Store, commit, files_of, manifest_file

BUCKETS: Mapping[str, str] = {"gs": "gcs", "s3": "s3"}
"""Scheme to the module whose `open_store(uri)` gives the store, which is also the extra that brings its client."""
READ_ONLY = ("http", "https")


@dataclass(frozen=True)
class Pushed:
    """Where a bundle is now: the URI of the version, its digest, bytes in all and bytes sent, seconds it took."""

    uri: str
    name: str
    version: str
    digest: str
    files: int
    size: int
    sent: int
    seconds: float
    already_there: bool


def _silent(_: Progress) -> None:
    """Tell nobody."""


def push(directory: Path, uri: str, *, overwrite: bool = False, tell: Tell = _silent) -> Pushed:
    """Upload a bundle to `<uri>/<name>/<version>/`, its manifest last.

    Args:
        directory: the bundle, as `pack` publishes it; every byte is verified first.
        uri: model root to push below: a path, `file://`, `gs://` or `s3://`.
        overwrite: replace other content under the same name and version. In a bucket that takes more than one step;
            whoever fetches meanwhile is refused by the checksums.
        tell: called with the progress, by one thread at a time.

    Raises:
        ArtifactError: the bundle here is damaged.
        DeliveryError: the destination makes no sense, refuses, is away, or is taken by other content.
    """
    began = time.monotonic()
    bundle = verify(directory)
    name, version = bundle.manifest.name, bundle.manifest.version
    _check_scheme(uri)
    place = version_uri(uri, name, version)
    files = [*files_of(bundle), manifest_file(bundle)]
    size = sum(file.size for file in files)
    meter = Meter(f"{name} {version}", size, tell)
    there = _publish(place, bundle, meter, overwrite=overwrite)
    return Pushed(
        place,
        name,
        version,
        bundle.digest,
        len(files),
        size,
        meter.sent,
        time.monotonic() - began,
        already_there=there,
    )


def _publish(place: str, bundle: Bundle, meter: Meter, *, overwrite: bool) -> bool:
    if scheme_of(place) == "file":
        return push_to_folder(place, bundle, meter, overwrite=overwrite)
    return commit(_open_store(place), bundle, meter, overwrite=overwrite)


def _check_scheme(uri: str) -> None:
    scheme = scheme_of(uri)
    known = ["file", *BUCKETS]
    if scheme in READ_ONLY:
        raise Usage(
            f"{scheme}:// is for fetching: a web server has no common way to upload. Push to the bucket or folder "
            "that it serves (gs://, s3://, file:// or a path)"
        )
    if scheme not in known:
        near = difflib.get_close_matches(scheme, known, n=1)
        hint = f" (did you mean {near[0]}://?)" if near else ""
        raise Usage(f"{uri}: scheme {scheme!r} is not known{hint}; push to gs://, s3://, file:// or a path")


def _open_store(uri: str) -> Store:
    name = BUCKETS[scheme_of(uri)]
    try:
        module = import_module(f"modelport.pushing.{name}")
    except ImportError as error:
        raise Usage(
            f"{scheme_of(uri)}:// needs a package that is not installed ({error.name}): pip install 'modelport[{name}]'"
        ) from error
    return cast("Store", module.open_store(uri))
