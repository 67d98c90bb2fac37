"""What every timing is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.subjects import Subject


@dataclass(frozen=True)
class Stage:
    """The trained subjects by name, an empty folder, a live collector, and how thorough to be."""

    subjects: Mapping[str, Subject]
    folder: Path
    collector: str
    rounds: int
    seconds: float
