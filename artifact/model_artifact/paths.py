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
_DIGITS_OR_NOT = re.compile(r"(\d+)|(\D+)", re.ASCII)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of control, format and surrogate characters and line separators."""


def safe_relative(path: str) -> str:
    """Return `path` when it is a plain relative POSIX path.

    Raises:
        PathRefused: absolute, empty or too long; `.` or `..` segments; backslashes, colons, control or format
            characters; text that is not in Unicode normal form C; segments that end in a dot or a space.
    """
    for broken, why in _path_faults(path):
        if broken:
            raise PathRefused(f"path {path[:80]!r} is refused: {why}")
    return path


def _path_faults(path: str) -> Iterable[tuple[bool, str]]:
    segments = path.split("/")
    yield not path, "it is empty"
    yield len(path.encode(errors="surrogatepass")) > MAX_PATH, f"it is longer than {MAX_PATH} bytes"
    yield path.startswith("/"), "it is absolute"
    yield "\\" in path, "it contains a backslash"
    yield ":" in path, "it contains a colon, which names a drive or a hidden stream on some systems"
    yield any(unicodedata.category(char) in _HIDDEN for char in path), "it contains a control character"
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
        folded = unicodedata.normalize("NFC", path.casefold())
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


def is_name(value: str) -> bool:
    """Whether `value` may be a model's name or a version."""
    return _IDENTIFIER.fullmatch(value) is not None and ".." not in value


def check_name(value: str, what: str = "name") -> str:
    """Return a model name or version: 1 to 63 letters, digits, `.`, `_` or `-`, with no sign at its ends and no `..`.

    Raises:
        PathRefused: otherwise.
    """
    if not is_name(value):
        raise PathRefused(
            f"{what} {value[:80]!r} is refused: use 1 to 63 letters, digits, '.', '_' or '-', "
            "beginning and ending with a letter or digit, without '..'"
        )
    return value


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which numbers compare as numbers: 9 < 10, v1.9 < v1.10, 1.0rc1 < 1.0 is not attempted.

    The text itself comes last, so that 1 and 01 have an order too.
    """
    parts = [(1, int(digits), "") if digits else (0, 0, text) for digits, text in _DIGITS_OR_NOT.findall(version)]
    return (*parts, (-1, 0, version))
