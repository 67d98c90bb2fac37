"""What a model answered as clients read it, written by encoders compiled from the signature."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_artifact.signature import Signature
from model_service.batching import Answered, Part
from model_service.ids import make_id
from model_service.runtimes.base import Answers
from model_service.telemetry.logs import timestamp


class Prediction(msgspec.Struct):
    """The body of a `/predict` answer."""

    prediction: Any
    prediction_class: Any
    probability: float | None
    probabilities: Any
    model_name: str
    model_version: str
    prediction_id: str
    timestamp: str


class BatchPrediction(msgspec.Struct):
    """The body of a `/predict/batch` answer; `processing_time` in seconds."""

    predictions: Any
    batch_size: int
    processing_time: float


def plain(answers: Answers) -> Answered:
    """A call's answers as plain values that are written as shortly as their own precision allows."""
    scores = answers.probabilities
    return Answered(_plain(answers.predictions), None if scores is None else _plain(scores))


def _plain(values: NDArray[Any]) -> list[Any]:
    if values.dtype == np.float32:
        # The shortest decimal of a float32, not the long one of the float64 that equals it.
        return values.astype("U").astype(np.float64).tolist()  # type: ignore[no-any-return]
    return values.tolist()  # type: ignore[no-any-return]


class Writer:
    """Writes the answers of one version."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._name, self._version = name, version
        self._classifies = signature.task == "classification"
        self._label, self._labels = signature.label, signature.class_labels
        fields = [(f"p{index}", float) for index in range(len(signature.labels))]
        names = {f"p{index}": label for index, label in enumerate(signature.labels)}
        self._scores = msgspec.defstruct("Probabilities", fields, rename=names)
        self._index: dict[Any, int] = {label: index for index, label in enumerate(signature.labels)}

    def predictions(self, part: Part, rows: int) -> list[Prediction]:
        """The answers to a request's rows, each with an id of its own."""
        now = timestamp(time.time())
        return [
            Prediction(value, named, score, scores, self._name, self._version, make_id(), now)
            for value, named, score, scores in self._values(part, rows)
        ]

    def _values(self, part: Part, rows: int) -> Iterator[tuple[Any, Any, float | None, Any]]:
        answered, start = part
        for index in range(start, start + rows):
            value = answered.predictions[index]
            named = self._name_of(value) if self._classifies else None
            if answered.probabilities is None:
                yield value, named, None, None
            else:
                row = answered.probabilities[index]
                position = self._index.get(named)
                yield value, named, None if position is None else row[position], self._scores(*row)

    def _name_of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._label(item) for item in value]
        named = self._labels.get(value)
        return self._label(value) if named is None else named
