"""Path rules: what may be a file inside a bundle, a model's name, a version.

Every consumer joins paths through `safe_join`, so the rules exist once.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from model_artifact.errors import PathRefused

MAX_PATH = 1024
MAX_SEGMENT = 255

_IDENTIFIER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def safe_relative(path: str) -> str:
    """Return `path` when it is a plain relative POSIX path.

    Raises:
        PathRefused: absolute, empty or too long; `.` or `..` segments; backslashes, drive letters, control or
            format characters; text that is not in Unicode normal form C; segments that end in a dot or a space.
    """
    for broken, why in _path_faults(path):
        if broken:
            raise PathRefused(f"path {path[:80]!r} is refused: {why}")
    return path


def _path_faults(path: str) -> Iterable[tuple[bool, str]]:
    segments = path.split("/")
    yield not path, "it is empty"
    yield len(path) > MAX_PATH, f"it is longer than {MAX_PATH} characters"
    yield path.startswith("/"), "it is absolute"
    yield bool(_DRIVE.match(path)), "it starts with a drive letter"
    yield "\\" in path, "it contains a backslash"
    yield any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in path), "it contains a control character"
    yield unicodedata.normalize("NFC", path) != path, "it is not in Unicode normal form C"
    yield any(segment in {"", ".", ".."} for segment in segments), "it has an empty, '.' or '..' segment"
    yield any(segment[-1:] in {".", " "} for segment in segments), "a segment ends in a dot or a space"
    yield any(len(segment.encode()) > MAX_SEGMENT for segment in segments), f"a segment is over {MAX_SEGMENT} bytes"


def refuse_collisions(paths: Iterable[str]) -> None:
    """Refuse paths that would be one file on some file system, or a file and a folder at once.

    Raises:
        PathRefused: naming both paths.
    """
    seen: dict[str, str] = {}
    for path in paths:
        folded = path.casefold()
        if folded in seen:
            raise PathRefused(f"paths {seen[folded]!r} and {path!r} are the same file where case does not count")
        seen[folded] = path
    for folded, path in seen.items():
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent in seen:
                raise PathRefused(f"path {seen[parent]!r} is a file and a folder (of {path!r}) at once")


def safe_join(root: Path, relative: str) -> Path:
    """Join `relative` below `root` and refuse any symbolic link between the two.

    Raises:
        PathRefused: the path is not safe, or a component that exists is a link.
    """
    target = root
    for segment in safe_relative(relative).split("/"):
        target = target / segment
        if target.is_symlink():
            raise PathRefused(f"path {relative!r} is refused: {segment!r} is a symbolic link")
    return target


def check_name(value: str, what: str = "name") -> str:
    """Return a model name or version that is 1 to 63 letters, digits, `.`, `_` or `-`, with no sign at its ends.

    Raises:
        PathRefused: otherwise.
    """
    if not _IDENTIFIER.fullmatch(value) or ".." in value:
        raise PathRefused(
            f"{what} {value[:80]!r} is refused: use 1 to 63 letters, digits, '.', '_' or '-', "
            "beginning and ending with a letter or digit"
        )
    return value


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which numbers compare as numbers: 9 < 10, v1.9 < v1.10, 1.0rc1 < 1.0 is not attempted."""
    parts = [part for part in _DIGITS.split(version) if part]
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
