"""One way to write the model: made only when its turn comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from model_artifact.manifest import FormatKind


@dataclass(frozen=True)
class Attempt:
    """`write` returns the file's bytes or raises; `label` says which way this is, for notes."""

    kind: FormatKind
    label: str
    write: Callable[[], bytes]
    precision: Literal["float64", "float32"] | None = None


class NotKept(Exception):
    """An attempt cannot be written, loaded or run, or does not answer as the estimator does; the text says which."""
