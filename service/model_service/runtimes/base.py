"""The port every runtime implements."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_artifact.coercion import Row
from model_artifact.signature import Signature

Rows = list[Row] | NDArray[np.float64]
"""Coerced rows in the signature's order; those of plain numbers may be an array (rows, features)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to n rows: `predictions` of shape (n,) or (n, k), `probabilities` of shape (n, classes) or none."""

    predictions: NDArray[Any]
    probabilities: NDArray[np.floating[Any]] | None

    def __len__(self) -> int:
        return len(self.predictions)


class Runtime(Protocol):
    """A loaded model. `predict` may be called from any one thread at a time."""

    signature: Signature

    def predict(self, rows: Rows) -> Answers:
        """Answer rows in one vectorised call."""
        ...


Loader = Callable[[Path, Signature | None, bool], Runtime]


def unnamed_signature_error(kind: str) -> str:
    """Why a bare file of this kind cannot be served without a signature."""
    return f"this bare {kind} file does not say what it takes; pack it with `modelport pack`, which writes a signature"
