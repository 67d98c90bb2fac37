"""What a URI holds: a bundle, a directory of versions, model files without a manifest, or an archive of any of these.

Only manifests and listings are read to find out.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from threading import Event

from model_artifact.delivery import (
    ARTIFACT_ERRORS,
    ChecksumMismatch,
    DeliveryError,
    NotFound,
    RefusedByPolicy,
    Usage,
    translated,
)
from model_artifact.digests import digest_bytes, same_digest
from model_artifact.errors import PathRefused
from model_artifact.manifest import MANIFEST, MODEL_SUFFIXES, FileEntry, Manifest, model_kind, parse_manifest
from model_artifact.paths import check_name, safe_relative, version_key
from model_fetcher.archives import archive_stem
from model_fetcher.contents import Patterns, formats_of, model_files
from model_fetcher.download import Item, Received
from model_fetcher.transfer import Transfer
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
    patterns: Patterns = field(default_factory=Patterns)


@dataclass(frozen=True)
class BundlePlan:
    """A bundle whose manifest was read: `base` is its key below the URI, `` or ending in `/`."""

    base: str
    data: bytes
    manifest: Manifest

    @property
    def items(self) -> list[Item]:
        """Its files."""
        return [Item(f"{self.base}{entry.path}", entry.path, entry.size, entry.sha256) for entry in self.manifest.files]


@dataclass(frozen=True)
class LoosePlan:
    """Model files without a manifest: the name and version they get, and the files."""

    name: str
    version: str
    items: list[Item]


@dataclass(frozen=True)
class ArchivePlan:
    """One file that holds others; what they are is seen when it is unpacked."""

    item: Item


Plan = BundlePlan | LoosePlan | ArchivePlan


def make_plan(transfer: Transfer, wanted: Wanted) -> Plan:
    """Find out what there is.

    Raises:
        NotFound: nothing; the message names what exists nearby.
        ChecksumMismatch: the manifest is not the pinned one.
        Usage: a pin of the wrong kind, or a name that cannot be one.
        RefusedByPolicy: name or version are not those of the bundle, or files that are not safe.
        ArtifactError: a manifest that breaks the contract.
    """
    filename = last_segment(wanted.uri)
    if not wanted.uri.endswith("/"):
        if archive_stem(filename):
            return ArchivePlan(Item("", filename, sha256=wanted.sha256))
        if model_kind(filename):
            return _file_plan(wanted, filename)
    return _some_bundle_plan(transfer, wanted) or _folder_plan(transfer, wanted)


def _some_bundle_plan(transfer: Transfer, wanted: Wanted) -> BundlePlan | None:
    """The bundle at the URI, or the version below it that is wanted."""
    kept = transfer.kept(wanted.digest) if wanted.digest else None
    if kept is not None:
        return bundle_plan(wanted, "", kept)
    others: list[str] = []
    for base in _bases(transfer, wanted):
        data = _manifest(transfer, f"{base}{MANIFEST}")
        if data is None:
            continue
        if _is_pinned_elsewhere(wanted, base, data):
            others.append(f"{base}{MANIFEST} is {digest_bytes(data)}")
        else:
            return bundle_plan(wanted, base, data)
    if others:
        raise ChecksumMismatch(
            f"{redact(wanted.uri)}: expected {wanted.digest}, and no version has it; {first_of(others)}"
        )
    return None


def first_of(names: Sequence[str]) -> str:
    """The first of them, for messages."""
    return ", ".join([*names[:MAX_NAMED], *["..."] * (len(names) > MAX_NAMED)]) or "nothing"


def nearest(transfer: Transfer) -> str:
    """The end of a sentence that names what does exist; empty where the scheme cannot list, or may not."""
    # A retry of its own: that of the transfer is over when something was not found.
    source, retry = transfer.source, replace(transfer.retry, stop=Event())
    try:
        below = retry.run(lambda _: list(source.children()))
        beside = [] if below else retry.run(lambda _: list(source.neighbours()))
    except DeliveryError:
        return ""
    names = below[:MAX_NAMED] or difflib.get_close_matches(source.place, beside, MAX_NAMED, 0.4) or beside[:MAX_NAMED]
    return f"; there is {', '.join(redact(name) for name in names)}" if names else ""


def _file_plan(wanted: Wanted, filename: str) -> LoosePlan:
    if wanted.digest:
        raise Usage(f"{redact(wanted.uri)} is a bare file: pin it with --sha256 (--digest pins a bundle's {MANIFEST})")
    return _loose_plan(wanted, PurePosixPath(filename).stem, [Item("", filename, sha256=wanted.sha256)])


def _folder_plan(transfer: Transfer, wanted: Wanted) -> LoosePlan:
    where = redact(wanted.uri)
    entries = transfer.retry.run(lambda _: model_files(transfer.source.objects(), wanted.patterns, where))
    if not entries:
        known = ", ".join(MODEL_SUFFIXES)
        raise NotFound(
            f"{where} holds no model: there is no {MANIFEST}, no version folder with one, and nothing is named like "
            f"a model file ({known}){nearest(transfer)}"
        )
    if wanted.digest or wanted.sha256:
        raise Usage(f"{where} is a folder without a {MANIFEST}, which nothing can pin: pack it")
    formats_of([entry.key for entry in entries], where)
    items = [Item(entry.key, entry.key, entry.size) for entry in entries]
    name = last_segment(wanted.uri)
    return _loose_plan(wanted, archive_stem(name) or name, items)


def _loose_plan(wanted: Wanted, name: str, items: list[Item]) -> LoosePlan:
    try:
        for item in items:
            safe_relative(item.path)
        return LoosePlan(check_name(wanted.name or name), check_name(wanted.version or "1", "version"), items)
    except PathRefused as error:
        raise Usage(f"{error}; choose others with --name and --version") from error


def _bases(transfer: Transfer, wanted: Wanted) -> Iterator[str]:
    """Where a manifest may lie, best first: the URI itself, then the wanted version below it or the highest."""
    yield ""
    if wanted.version:
        yield f"{wanted.version}/"
        return
    yield from (f"{version}/" for version in version_folders(transfer))


def version_folders(transfer: Transfer) -> list[str]:
    """Folders below the URI, which may be versions, the highest first."""
    folders = transfer.retry.run(lambda _: [each for each in transfer.source.children() if each.endswith("/")])
    return sorted((folder.rstrip("/") for folder in folders), key=version_key, reverse=True)


def _is_pinned_elsewhere(wanted: Wanted, base: str, data: bytes) -> bool:
    """Whether this is one version of several, and not the pinned one."""
    several = bool(base) and not wanted.version
    return several and wanted.digest is not None and not same_digest(wanted.digest, digest_bytes(data))


def _manifest(transfer: Transfer, key: str) -> bytes | None:
    try:
        return transfer.small(key)
    except NotFound:
        return None


def bundle_plan(wanted: Wanted, base: str, data: bytes) -> BundlePlan:
    """The plan that a manifest's bytes make. Raises as `make_plan` does."""
    where = f"{redact(wanted.uri).rstrip('/')}/{base}{MANIFEST}"
    if wanted.sha256:
        raise Usage(f"{redact(wanted.uri)} is a bundle: pin it with --digest (--sha256 pins a bare file)")
    if wanted.digest and not same_digest(wanted.digest, digest_bytes(data)):
        raise ChecksumMismatch(f"{where}: expected {wanted.digest}, found {digest_bytes(data)}")
    if wanted.patterns:
        raise Usage(f"{redact(wanted.uri)} is a bundle, and comes whole: patterns are for folders without a {MANIFEST}")
    with translated(ARTIFACT_ERRORS, where):
        manifest = parse_manifest(data)
    refuse_other(manifest, wanted, where)
    return BundlePlan(base, data, manifest)


def refuse_other(manifest: Manifest, wanted: Wanted, where: str) -> None:
    """Raise RefusedByPolicy where a bundle is of another name or version than was asked for."""
    for what, asked, found in (("name", wanted.name, manifest.name), ("version", wanted.version, manifest.version)):
        if asked and asked != found:
            raise RefusedByPolicy(
                f"{where} says {what} {found!r}, not {asked!r}: only a bare file may be given another"
            )


def require_pin(wanted: Wanted) -> None:
    """Raise RefusedByPolicy where neither digest nor sha256 says which bytes are wanted."""
    if not (wanted.digest or wanted.sha256):
        raise RefusedByPolicy(
            f"{redact(wanted.uri)} is not pinned and must be: give --digest for a bundle, --sha256 for a file"
        )


def loose_manifest(plan: LoosePlan, received: Sequence[Received], uri: str) -> Manifest:
    """The manifest written around files without one; the same from the same place always get the same."""
    times = [each.modified for each in received if each.modified is not None]
    return Manifest(
        name=plan.name,
        version=plan.version,
        created=max(times, default=UNKNOWN_TIME).astimezone(UTC).isoformat(),
        files=tuple(
            FileEntry(item.path, each.size, each.sha256) for item, each in zip(plan.items, received, strict=True)
        ),
        formats=formats_of([item.path for item in plan.items], uri),
        origin="fetched",
        metadata={"source": uri},
    )
