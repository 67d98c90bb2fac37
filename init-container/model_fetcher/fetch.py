"""The use case: plan, stage, verify, publish. Whatever goes wrong, the destination holds a whole model or none."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model_artifact.bundle import Bundle, open_bundle
from model_artifact.digests import digest_bytes, same_digest
from model_artifact.manifest import MANIFEST, write_manifest
from model_artifact.publish import staging, sweep
from model_fetcher.destinations import Destination
from model_fetcher.errors import (
    ARTIFACT_ERRORS,
    ChecksumMismatch,
    FetchError,
    NotFound,
    RefusedByPolicy,
    translated,
    writing,
)
from model_fetcher.plan import BarePlan, BundlePlan, Wanted, bare_manifest, make_plan, nearest
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources import open_source
from model_fetcher.sources.base import Source, Timeouts
from model_fetcher.transfer import Received, Transfer, free_bytes
from model_fetcher.uris import redact


@dataclass(frozen=True)
class Outcome:
    """What was done: where the model is, its digest, bytes moved over the wire, seconds, who asked."""

    path: Path
    name: str
    version: str
    digest: str
    moved: int
    seconds: float
    identity: str
    already_there: bool


@dataclass(frozen=True)
class Fetcher:
    """How to fetch; what to fetch comes with each call."""

    progress: Progress
    retry: Retry
    timeouts: Timeouts
    require_pinned: bool = False
    free: Callable[[Path], int] = free_bytes

    def fetch(self, wanted: Wanted, destination: Destination) -> Outcome:
        """Make the destination hold what is at the URI.

        Raises:
            FetchError: with `uri` and `identity` filled in; the destination is as it was, or holds the whole model.
        """
        identity = ""
        try:
            with translated(ARTIFACT_ERRORS), writing(destination.root):
                self._require_pin(wanted)
                source = self.retry.run(lambda _: open_source(wanted.uri, self.timeouts))
                identity = source.identity
                transfer = Transfer(source, self.retry, self.progress, self.free)
                return _Delivery(source, wanted, destination, transfer).run()
        except FetchError as error:
            error.uri, error.identity = redact(wanted.uri), identity
            raise

    def _require_pin(self, wanted: Wanted) -> None:
        if self.require_pinned and not (wanted.digest or wanted.sha256):
            raise RefusedByPolicy(
                f"{redact(wanted.uri)} is not pinned and must be: give --digest for a bundle, --sha256 for a file"
            )


class _Delivery:
    """One fetch."""

    def __init__(self, source: Source, wanted: Wanted, destination: Destination, transfer: Transfer) -> None:
        self._source = source
        self._wanted = wanted
        self._destination = destination
        self._transfer = transfer
        self._began = time.monotonic()

    def run(self) -> Outcome:
        plan = make_plan(self._source, self._wanted, self._transfer.retry)
        self._destination.root.mkdir(parents=True, exist_ok=True)
        sweep(self._destination.root)
        return self._bundle(plan) if isinstance(plan, BundlePlan) else self._bare(plan)

    def _bundle(self, plan: BundlePlan) -> Outcome:
        there = self._destination.existing(plan.manifest.name, plan.manifest.version)
        if there is not None and same_digest(there.digest, digest_bytes(plan.data)):
            return self._outcome(there, len(plan.data), already_there=True)
        with staging(self._destination.root) as staged:
            moved = self._transfer.bundle(plan.base, plan.manifest.files, staged)
            (staged / MANIFEST).write_bytes(plan.data)
            return self._outcome(open_bundle(self._destination.commit(staged)), moved + len(plan.data))

    def _bare(self, plan: BarePlan) -> Outcome:
        there = self._destination.existing(plan.name, plan.version)
        pin = self._wanted.sha256
        if there is not None and pin is not None and _is_only_file(there, plan.filename, pin):
            return self._outcome(there, 0, already_there=True)
        with staging(self._destination.root) as staged:
            received = self._receive(staged / plan.filename)
            if pin is not None and not same_digest(received.sha256, pin):
                raise ChecksumMismatch(f"{plan.filename}: expected sha256 {pin}, received {received.sha256}")
            if there is not None and _is_only_file(there, plan.filename, received.sha256):
                return self._outcome(there, received.size, already_there=True)
            manifest = bare_manifest(plan, received, redact(self._wanted.uri))
            (staged / MANIFEST).write_bytes(write_manifest(manifest))
            return self._outcome(open_bundle(self._destination.commit(staged)), received.size)

    def _receive(self, target: Path) -> Received:
        try:
            return self._transfer.file("", target)
        except NotFound as error:
            raise NotFound(f"{error}{nearest(self._source, self._transfer.retry)}") from error

    def _outcome(self, bundle: Bundle, moved: int, *, already_there: bool = False) -> Outcome:
        return Outcome(
            path=bundle.directory,
            name=bundle.manifest.name,
            version=bundle.manifest.version,
            digest=bundle.digest,
            moved=moved,
            seconds=time.monotonic() - self._began,
            identity=self._source.identity,
            already_there=already_there,
        )


def _is_only_file(bundle: Bundle, filename: str, sha256: str) -> bool:
    files = bundle.manifest.files
    return [entry.path for entry in files] == [filename] and same_digest(files[0].sha256, sha256)
