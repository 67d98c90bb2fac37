"""One object into one file: in parts side by side where its store can, hashed in order as they arrive."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from model_artifact.delivery import ChecksumMismatch, Unreachable
from model_artifact.digests import same_digest
from model_fetcher.errors import Changed
from model_fetcher.landing import Digest, Landing
from model_fetcher.lanes import Lanes
from model_fetcher.progress import Progress
from model_fetcher.retry import Progressed, Retry
from model_fetcher.sources.base import Ask, Checksum, Content, Source

STEP = 64 << 10
"""Bytes that count as progress; a store that sends fewer within the retry budget is given up."""


@dataclass(frozen=True)
class Item:
    """An object to fetch: its key below the source, its path in the bundle, and what is known of it beforehand."""

    key: str
    path: str
    size: int | None = None
    sha256: str | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.key or self.path


@dataclass(frozen=True)
class Received:
    """What arrived: size in bytes, hex sha256, version, and when it was changed, where the store tells."""

    size: int
    sha256: str
    version: str = ""
    modified: datetime | None = None


@dataclass(frozen=True)
class Means:
    """What downloads share. `require_room` raises DiskFull for a number of bytes that does not fit."""

    source: Source
    lanes: Lanes
    retry: Retry
    progress: Progress
    require_room: Callable[[int], None]


def download(item: Item, target: Path, ledger: Path, means: Means) -> Received:
    """Fetch one item, anew as often as the object changes within the retry budget.

    Args:
        item: what to fetch.
        target: the file; complete only when this returned.
        ledger: where to note which parts of it are complete, so that another run can go on.
        means: with what.

    Raises:
        ChecksumMismatch: it is not what it should be.
        DeliveryError: whatever stopped it.
    """

    def attempt(progressed: Progressed) -> Received:
        landing = Landing(target, ledger)
        means.progress.skip(landing.landed)
        try:
            with landing:
                return _Arrival(item, landing, means, progressed).run()
        except (Changed, ChecksumMismatch) as error:
            landing.forget()
            means.progress.skip(-landing.landed)
            if isinstance(error, ChecksumMismatch) and not landing.resumed:
                raise
            raise Unreachable(str(error)) from error
        finally:
            if not landing.parted and not landing.kept:
                target.unlink(missing_ok=True)  # nothing that another run could use

    return means.retry.run(attempt)


def require_same(item: Item, size: int, sha256: str) -> None:
    """Raise ChecksumMismatch when these are not what is known of the item."""
    if item.size is not None and size != item.size:
        raise ChecksumMismatch(f"{item.label}: expected {item.size} bytes, received {size}")
    if item.sha256 is not None and not same_digest(item.sha256, sha256):
        raise ChecksumMismatch(f"{item.label}: expected sha256 {item.sha256}, received {sha256}")


@dataclass
class _Part:
    """A stretch of the object: its number, and how many of its bytes are here. One leads: it is hashed at once."""

    number: int
    leads: bool = False
    have: int = 0


class _Arrival:
    """One attempt at all of the object. The thread that calls `run` fetches one part and hashes all of them."""

    def __init__(self, item: Item, landing: Landing, means: Means, progressed: Progressed) -> None:
        self._item, self._landing, self._means, self._progressed = item, landing, means, progressed
        self._digest = Digest()
        self._rest: list[Future[None]] = []
        self._checksum: Checksum | None = None
        self._modified: datetime | None = None
        self._met = self._undivided = False

    def run(self) -> Received:
        landing = self._landing
        try:
            self._fetch(_Part(next(iter(landing.missing), 0), leads=True))
            for number in range(landing.count):
                landing.wait(number)
                self._progressed(landing.landed // STEP)
                self._digest.catch_up(landing, landing.stop(number))
        except BaseException as error:
            landing.fail(error)
            raise
        finally:
            wait([future for future in self._rest if not future.cancel()])
        self._check()
        landing.keep()
        return Received(self._digest.size, self._digest.hex("sha256"), landing.version, self._modified)

    def _fetch(self, part: _Part) -> None:
        def attempt(progressed: Progressed) -> None:
            while not self._pull(part, progressed):
                self._undivided = True

        try:
            self._means.retry.run(attempt)
        except BaseException as error:
            self._landing.fail(error)
            raise
        self._landing.complete(part.number)

    def _pull(self, part: _Part, progressed: Progressed) -> bool:
        """Get what is missing of a part. False when it turns out that only the whole object can be had."""
        landing = self._landing
        if not landing.version:
            self._back(part)
        divided = landing.parted if self._met else not self._undivided
        stop = landing.start(part.number + 1) if divided else None
        ask = Ask(self._item.key, landing.start(part.number) + part.have, stop, landing.version)
        with self._means.lanes.open(self._means.source, ask) as content:
            if part.leads and not self._meet(content, part):
                return False
            if content.start != ask.start:
                if part.number:
                    raise Unreachable(f"{self._item.label}: the server no longer answers in parts")
                self._back(part)
            self._take(content, part, progressed)
        return True

    def _meet(self, content: Content, part: _Part) -> bool:
        """Learn from the first answer what the object is, and have its other parts fetched. False as for `_pull`."""
        landing, item, size = self._landing, self._item, content.size
        if self._met and landing.version:
            return True
        divided = content.stop != size
        if divided and (size is None or not content.version):
            return False
        if None not in {item.size, size} and size != item.size:
            raise ChecksumMismatch(f"{item.label}: expected {item.size} bytes, the store has {size}")
        if landing.resumed and size != landing.size:
            raise Changed(f"{item.label} changed since an earlier run began it")
        if not landing.resumed:
            if item.size is None and size is not None:
                self._means.require_room(size)
                self._means.progress.expect(size)
            landing.begin(size, content.version, parted=divided)
        self._modified, self._met = content.modified, True
        if item.sha256 is None and content.checksum is not None:
            self._checksum = content.checksum
            self._digest.also(content.checksum.algorithm)
        others = [number for number in landing.missing if number != part.number]
        self._rest = [self._means.lanes.parts.submit(partial(self._fetch, _Part(number))) for number in others]
        return True

    def _take(self, content: Content, part: _Part, progressed: Progressed) -> None:
        landing, begun = self._landing, self._landing.start(part.number)
        at = begun + part.have
        stop = None if landing.size is None else landing.stop(part.number)
        for chunk in content.chunks:
            data = chunk if stop is None else chunk[: stop - at]
            landing.write(at, data)
            if part.leads:
                self._digest.feed(at, data)
            at += len(data)
            part.have += len(data)
            self._means.progress.add(len(data))
            progressed(part.have // STEP)
            self._require_sane(at)
            if len(data) < len(chunk):
                break
        if stop is None:
            landing.begin(at, "", parted=False)
        elif at < stop:
            raise Unreachable(f"{self._item.label}: the connection ended early ({part.have} of {stop - begun} bytes)")

    def _back(self, part: _Part) -> None:
        self._means.progress.skip(-part.have)
        part.have = 0

    def _require_sane(self, size: int) -> None:
        if self._item.size is not None and size > self._item.size:
            raise ChecksumMismatch(f"{self._item.label}: more than the {self._item.size} bytes that its manifest lists")

    def _check(self) -> None:
        item, digest, told = self._item, self._digest, self._checksum
        require_same(item, digest.size, digest.hex("sha256"))
        if told is not None and digest.hex(told.algorithm) != told.digits:
            raise ChecksumMismatch(
                f"{item.label}: its store says {told.algorithm} {told.digits}, received {digest.hex(told.algorithm)}"
            )
