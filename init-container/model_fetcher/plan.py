"""What a URI holds: a bundle, a directory of versions, or a bare model file. Only manifests are read to find out."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from model_artifact.digests import digest_bytes, same_digest
from model_artifact.errors import PathRefused
from model_artifact.manifest import MANIFEST, MAX_BYTES, MODEL_SUFFIXES, FileEntry, Format, Manifest, parse_manifest
from model_artifact.paths import check_name, safe_relative, version_key
from model_fetcher.errors import (
    ARTIFACT_ERRORS,
    ChecksumMismatch,
    FetchError,
    NotFound,
    RefusedByPolicy,
    Usage,
    translated,
)
from model_fetcher.retry import Progressed, Retry
from model_fetcher.sources.base import Source
from model_fetcher.transfer import Received
from model_fetcher.uris import last_segment, redact

MAX_NAMED = 5
"""Existing keys that an error names."""
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""When a bare file was made, where its source does not tell."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for. `digest` and `sha256` pin a bundle and a bare file; name and version select or rename."""

    uri: str
    digest: str | None = None
    sha256: str | None = None
    name: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class BundlePlan:
    """A bundle whose manifest was read: `base` is its key below the URI, `` or ending in `/`."""

    base: str
    data: bytes
    manifest: Manifest


@dataclass(frozen=True)
class BarePlan:
    """A model file without a manifest: the name and version it gets, and its file name."""

    name: str
    version: str
    filename: str


Plan = BundlePlan | BarePlan


def make_plan(source: Source, wanted: Wanted, retry: Retry) -> Plan:
    """Find out what there is.

    Raises:
        NotFound: nothing; the message names what exists nearby.
        ChecksumMismatch: the manifest is not the pinned one.
        Usage: a pin of the wrong kind, or a name that cannot be one.
        RefusedByPolicy: name or version are not those of the bundle.
        ArtifactError: a manifest that breaks the contract.
    """
    filename = last_segment(wanted.uri)
    if PurePosixPath(filename).suffix.lower() in MODEL_SUFFIXES and not wanted.uri.endswith("/"):
        return _bare_plan(wanted, filename)
    for base in _bases(source, wanted, retry):
        data = _manifest(source, f"{base}{MANIFEST}", retry)
        if data is not None:
            return _bundle_plan(wanted, base, data)
    known = ", ".join(MODEL_SUFFIXES)
    raise NotFound(
        f"{redact(wanted.uri)} holds no model: there is no {MANIFEST}, no version folder with one, "
        f"and its name is not that of a model file ({known}){nearest(source, retry)}"
    )


def nearest(source: Source, retry: Retry) -> str:
    """The end of a sentence that names what does exist; empty where the scheme cannot list, or may not."""
    try:
        below = retry.run(lambda _: list(source.children()))
        beside = [] if below else retry.run(lambda _: list(source.neighbours()))
    except FetchError:
        return ""
    names = below[:MAX_NAMED] or difflib.get_close_matches(source.place, beside, MAX_NAMED, 0.4) or beside[:MAX_NAMED]
    return f"; there is {', '.join(redact(name) for name in names)}" if names else ""


def _bare_plan(wanted: Wanted, filename: str) -> BarePlan:
    if wanted.digest:
        raise Usage(f"{redact(wanted.uri)} is a bare file: pin it with --sha256 (--digest pins a bundle's {MANIFEST})")
    try:
        name = check_name(wanted.name or PurePosixPath(filename).stem)
        return BarePlan(name, check_name(wanted.version or "1", "version"), safe_relative(filename))
    except PathRefused as error:
        raise Usage(f"{error}; choose others with --name and --version") from error


def _bases(source: Source, wanted: Wanted, retry: Retry) -> Iterator[str]:
    """Where a manifest may lie, best first: the URI itself, then the wanted version below it or the highest."""
    yield ""
    if wanted.version:
        yield f"{wanted.version}/"
        return
    folders = retry.run(lambda _: [name.rstrip("/") for name in source.children() if name.endswith("/")])
    yield from (f"{version}/" for version in sorted(folders, key=version_key, reverse=True))


def _manifest(source: Source, key: str, retry: Retry) -> bytes | None:
    def attempt(progressed: Progressed) -> bytes:
        data = bytearray()
        with source.open(key) as content:
            for chunk in content.chunks:
                data += chunk
                progressed(len(data))
                if len(data) > MAX_BYTES:
                    break
        return bytes(data)

    try:
        return retry.run(attempt)
    except NotFound:
        return None


def _bundle_plan(wanted: Wanted, base: str, data: bytes) -> BundlePlan:
    where = f"{redact(wanted.uri).rstrip('/')}/{base}{MANIFEST}"
    if wanted.sha256:
        raise Usage(f"{redact(wanted.uri)} is a bundle: pin it with --digest (--sha256 pins a bare file)")
    if wanted.digest and not same_digest(wanted.digest, digest_bytes(data)):
        raise ChecksumMismatch(f"{where}: expected {wanted.digest}, found {digest_bytes(data)}")
    with translated(ARTIFACT_ERRORS, where):
        manifest = parse_manifest(data)
    for what, asked, found in (("name", wanted.name, manifest.name), ("version", wanted.version, manifest.version)):
        if asked and asked != found:
            raise RefusedByPolicy(
                f"{where} says {what} {found!r}, not {asked!r}: only a bare file may be given another"
            )
    return BundlePlan(base, data, manifest)


def bare_manifest(plan: BarePlan, received: Received, uri: str) -> Manifest:
    """The manifest written around a bare file; the same file from the same place always gets the same one."""
    return Manifest(
        name=plan.name,
        version=plan.version,
        created=(received.modified or UNKNOWN_TIME).astimezone(UTC).isoformat(),
        files=(FileEntry(plan.filename, received.size, received.sha256),),
        formats=(Format(MODEL_SUFFIXES[PurePosixPath(plan.filename).suffix.lower()], plan.filename),),
        origin="fetched",
        metadata={"source": uri},
    )
