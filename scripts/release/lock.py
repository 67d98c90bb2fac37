"""What the lock of an image installs on this platform, and under which licence each of it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement

LOCKS = Path(__file__).parents[2] / "locks"
_LINE = re.compile(r"^([A-Za-z0-9][^ \\]*==[^\\]+)", re.MULTILINE)
_TEXT = re.compile(r"\s+")


@dataclass(frozen=True, order=True)
class Package:
    """A package that is installed; `licence` is what its own metadata say, empty when they say nothing."""

    name: str
    version: str
    licence: str


def images() -> dict[str, Path]:
    """Lock of each image."""
    return {path.stem: path for path in sorted(LOCKS.glob("*.txt")) if path.stem != "dev"}


def packages(lock: Path) -> list[Package]:
    """Packages of a lock; those that only other platforms install are left out.

    Raises:
        PackageNotFoundError: one is not installed here, so that nobody can tell its licence.
    """
    return sorted(_packages(lock))


def _packages(lock: Path) -> Iterator[Package]:
    for line in _LINE.findall(lock.read_text(encoding="utf-8")):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate():
            version = next(iter(requirement.specifier)).version
            yield Package(requirement.name, version, licence(requirement.name))


def licence(name: str) -> str:
    """SPDX expression of an installed package, or the nearest that its metadata have."""
    try:
        told = metadata(name)
    except PackageNotFoundError as error:
        raise PackageNotFoundError(f"{name}: not installed here; run make setup") from error
    classifiers = [
        text.rpartition(" :: ")[2] for text in told.get_all("Classifier", ()) if " :: OSI Approved :: " in text
    ]
    short = _TEXT.sub(" ", told.get("License", "") or "").strip()
    return told.get("License-Expression") or " AND ".join(classifiers) or short.split(". ")[0][:80]
