"""How far two versions are apart in what they say to the same rows."""

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from model_artifact.signature import Signature
from model_service.batch import Answered

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Said:
    """What one version says to some rows of a call.

    Args:
        signature: of the version.
        answered: by the call.
        rows: of the call.

    Attributes:
        named: predictions, classes by label, so that versions may number them differently.
        scores: numbers (rows, n): probabilities, or the predicted values of a version without any; none for neither.
        of: what the scores are of; only alike ones can be compared.
    """

    def __init__(self, signature: Signature, answered: Answered, rows: slice) -> None:
        values = answered.predictions[rows]
        is_classifier = signature.task == "classification"
        several = any(isinstance(value, list) for value in values)
        self.named = [signature.label(value) for value in values] if is_classifier and not several else values
        self.scores: NDArray[Any] | None = None
        self.of: tuple[str, ...] | None = None
        if answered.probabilities is not None:
            self.scores, self.of = np.asarray(answered.probabilities[rows]), signature.labels
        elif not is_classifier and all(isinstance(value, (int, float)) for value in values):
            self.scores = np.array([values], float).T

    def disagreements(self, other: "Said") -> int:
        """In how many rows another one predicts something else."""
        return sum(mine != its for mine, its in zip(self.named, other.named, strict=True))

    def differences(self, other: "Said") -> list[float]:
        """The largest difference of a score in each row; no row where scores cannot be compared, or are no numbers."""
        if self.scores is None or other.scores is None or self.of != other.of:
            return []
        found: list[float] = np.abs(self.scores - other.scores).max(axis=1).tolist()
        return list(filter(isfinite, found))
