"""A folder that many pods share, so that only the first of them moves bytes.

`sha256/<hex>` holds contents, whole and under their own digest. `known/<hash>` tells which content a place held at
which version, so that asking whether it still does is enough. `locks/` lets one run fetch and others wait for it.
Everything in it is checked when it is taken, may be deleted at any time, and is never written to twice.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from model_artifact.digests import copy_hashed, digest_bytes, same_digest
from model_artifact.locks import locked
from model_fetcher.sources.base import silent


@dataclass(frozen=True)
class Known:
    """What a place held: version, hex sha256 and bytes of its content, when it was changed (RFC 3339, or empty)."""

    version: str
    sha256: str
    size: int
    modified: str = ""


@dataclass(frozen=True)
class Cache:
    """The folder. `limit` in bytes, beyond which what was not used for longest goes; None for no limit."""

    root: Path
    limit: int | None = None
    notify: Callable[[str], None] = silent

    def take(self, digest: str, target: Path) -> bool:
        """Copy a content to `target`, if it is there and as it should be."""
        path = self._content(digest)
        if not path.is_file():
            return False
        target.unlink(missing_ok=True)
        _, found = copy_hashed(path, target)
        if not same_digest(found, digest):
            self._drop(path)
            target.unlink()
            return False
        with suppress(OSError):  # not ours to touch
            os.utime(path)
        return True

    def text(self, digest: str) -> bytes | None:
        """A small content itself, if it is there and as it should be."""
        path = self._content(digest)
        with suppress(OSError):
            data = path.read_bytes()
            if same_digest(digest_bytes(data), digest):
                return data
            self._drop(path)
        return None

    def holds(self, digest: str) -> bool:
        """Whether a content is there, as it should be or not."""
        return self._content(digest).is_file()

    def give(self, digest: str, source: Path | bytes) -> None:
        """Keep a content whose digest was verified. A cache that is full or broken stops nobody."""
        path = self._content(digest)
        if path.exists():
            return
        if isinstance(source, bytes):
            self._store(path, lambda fresh: fresh.write_bytes(source))
        else:
            self._store(path, lambda fresh: shutil.copyfile(source, fresh))

    def recall(self, place: str) -> Known | None:
        """What a place held when it was last fetched."""
        with suppress(OSError, ValueError, TypeError):
            return Known(**json.loads(self._known(place).read_text()))
        return None

    def remember(self, place: str, known: Known) -> None:
        """What a place holds."""
        self._store(self._known(place), lambda fresh: fresh.write_text(json.dumps(asdict(known))))

    @contextmanager
    def exclusive(self, what: str) -> Iterator[None]:
        """Be the only one who fetches it: others wait, and then find it here."""
        lock = self.root / "locks" / f"{_name(what)}.lock"
        with ExitStack() as held:
            try:
                held.enter_context(locked(lock, wait=False))
            except BlockingIOError:
                self.notify("another run is fetching the same: waiting for it")
                held.enter_context(locked(lock))
            except OSError as error:
                self.notify(f"{self.root} cannot be locked ({error.strerror}): going on without waiting for others")
            yield

    def evict(self) -> None:
        """Make it fit its limit again."""
        if self.limit is None:
            return
        with suppress(OSError):
            found = [(path.stat(), path) for path in (self.root / "sha256").iterdir()]
            size = sum(info.st_size for info, _ in found)
            for info, path in sorted(found, key=lambda each: each[0].st_mtime):
                if size <= self.limit:
                    return
                path.unlink(missing_ok=True)
                size -= info.st_size

    def _drop(self, path: Path) -> None:
        self.notify(f"{path} is damaged and goes")
        path.unlink(missing_ok=True)

    def _store(self, path: Path, write: Callable[[Path], object]) -> None:
        fresh = self.root / "tmp" / secrets.token_hex(8)
        try:
            for folder in (fresh.parent, path.parent):
                folder.mkdir(parents=True, exist_ok=True)
            write(fresh)
            fresh.replace(path)
        except OSError as error:
            self.notify(f"{self.root} keeps nothing more ({error.strerror})")
            with suppress(OSError):
                fresh.unlink()

    def _content(self, digest: str) -> Path:
        return self.root / "sha256" / digest.removeprefix("sha256:")

    def _known(self, place: str) -> Path:
        return self.root / "known" / _name(place)


def _name(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
