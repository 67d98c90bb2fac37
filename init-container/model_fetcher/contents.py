"""Which objects of a folder are the model, where no manifest says so: patterns, limits, and which files are formats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import PurePosixPath

from model_artifact.delivery import NotFound, RefusedByPolicy
from model_artifact.errors import PathRefused
from model_artifact.manifest import MANIFEST, Format, model_kind
from model_artifact.paths import refuse_collisions, safe_relative
from model_fetcher.sources.base import Entry

MAX_FILES = 10_000
"""Files of a folder or an archive: more than any model has, and less than would exhaust a volume's inodes."""
MAX_NAMED = 5
"""Files that an error names."""


@dataclass(frozen=True)
class Patterns:
    """Shell patterns of paths below the URI: `allow` says what may come, `ignore` what may not; `*` crosses folders."""

    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def take(self, path: str) -> bool:
        """Whether a file is wanted."""
        wanted = not self.allow or any(fnmatchcase(path, pattern) for pattern in self.allow)
        return wanted and not any(fnmatchcase(path, pattern) for pattern in self.ignore)

    def __bool__(self) -> bool:
        return bool(self.allow or self.ignore)


def model_files(entries: Iterable[Entry], patterns: Patterns, where: str) -> list[Entry]:
    """The files of a folder that has no manifest; none when it is no model at all.

    Raises:
        NotFound: patterns leave nothing over.
        RefusedByPolicy: too many files, or names that are not safe.
    """
    found = list(islice(entries, MAX_FILES + 1))
    if len(found) > MAX_FILES:
        raise RefusedByPolicy(f"{where} holds more than {MAX_FILES} files: name the model's own folder")
    if any(PurePosixPath(entry.key).name.startswith(MANIFEST) for entry in found):
        return []  # a folder of bundles, or a push that is not over
    taken = [entry for entry in found if patterns.take(entry.key)]
    if found and not taken:
        raise NotFound(f"{where}: the patterns leave none of its {len(found)} files ({named(found)})")
    if not any(model_kind(entry.key) for entry in taken):
        return []
    try:
        refuse_collisions(safe_relative(entry.key) for entry in taken)
    except PathRefused as error:
        raise RefusedByPolicy(f"{where}: {error}") from error
    return taken


def formats_of(paths: Sequence[str], where: str) -> tuple[Format, ...]:
    """The forms of the model among files without a manifest: model files of the topmost folder that has any.

    Raises:
        RefusedByPolicy: two of one kind, between which only patterns can decide.
    """
    kinds = {path: kind for path in paths if (kind := model_kind(path))}
    top = min(path.count("/") for path in kinds)
    formats: dict[str, Format] = {}
    for path, kind in kinds.items():
        if path.count("/") > top:
            continue
        if kind in formats:
            raise RefusedByPolicy(
                f"{where} holds several models ({formats[kind].path}, {path}): name one, or leave others out "
                "with --ignore-patterns"
            )
        formats[kind] = Format(kind, path)
    return tuple(formats.values())


def named(entries: Sequence[Entry]) -> str:
    """The first of them, for messages."""
    return ", ".join([entry.key for entry in entries[:MAX_NAMED]] + ["..."] * (len(entries) > MAX_NAMED))
