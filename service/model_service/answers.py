"""What a model answered as clients read it, written by encoders compiled from the signature."""

import time
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
        answered, start = part
        return [self._prediction(answered, index, now) for index in range(start, start + rows)]

    def _prediction(self, answered: Answered, index: int, now: str) -> Prediction:
        value = answered.predictions[index]
        named = self._name_of(value) if self._classifies else None
        score = scores = None
        if answered.probabilities is not None:
            row = answered.probabilities[index]
            scores = self._scores(*row)
            position = self._index.get(named)
            score = None if position is None else row[position]
        return Prediction(value, named, score, scores, self._name, self._version, make_id(), now)

    def _name_of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._label(item) for item in value]
        named = self._labels.get(value)
        return self._label(value) if named is None else named
