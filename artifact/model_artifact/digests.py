"""SHA-256 everywhere: reading, comparing, and hashing while bytes pass by."""

import hashlib
import hmac
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from model_artifact.errors import DigestMismatch

CHUNK = 1 << 20
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)

Tell = Callable[[int], None]
"""Told how many more bytes were read."""


def silent(_: int) -> None:
    """Tell nobody."""


def parse_digest(text: str) -> str:
    """Return the canonical `sha256:<64 hex digits>` of a pin written with or without its prefix.

    Raises:
        DigestMismatch: it is not a sha256.
    """
    digits = text.strip().lower().removeprefix("sha256:")
    if not _HEX.fullmatch(digits):
        raise DigestMismatch(f"digest {text[:80]!r} is not 'sha256:' and 64 hexadecimal digits")
    return f"sha256:{digits}"


def same_digest(left: str, right: str) -> bool:
    """Compare two digests in constant time, each with or without the `sha256:` prefix."""
    return hmac.compare_digest(parse_digest(left), parse_digest(right))


def digest_bytes(data: bytes) -> str:
    """Return `sha256:<hex>` of `data`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha256_file(path: Path, tell: Tell = silent) -> str:
    """Return the bare hex sha256 of a file, read in chunks; `tell` hears of each."""
    digest, chunk = hashlib.sha256(), memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(chunk):
            digest.update(chunk[:size])
            tell(size)
    return digest.hexdigest()


class HashingWriter:
    """Passes chunks on to `target` and keeps their size and sha256, so that a copy is hashed as it is made."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> int:
        """Write one chunk; returns its length."""
        self._target.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        return len(chunk)

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._hash.hexdigest()


def copy_hashed(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file's bytes; returns `(size, hex sha256)` of what was written."""
    with source.open("rb") as reader, target.open("xb") as writer:
        hashing = HashingWriter(writer)
        while chunk := reader.read(CHUNK):
            hashing.write(chunk)
    return hashing.size, hashing.sha256
