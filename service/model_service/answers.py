"""What a model answered as clients read it, written by encoders compiled from the signature."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_artifact.signature import Signature
from model_service.batch import Answered, Part
from model_service.ids import make_id, make_ids
from model_service.jsontext import are_plain
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
        self._name_of = _namer(signature)
        self._scores = _scorer(signature.labels)
        self._index: dict[Any, int] = {label: index for index, label in enumerate(signature.labels)}

    def predictions(self, part: Part, rows: int) -> list[Prediction]:
        """The answers to a request's rows, each with an id of its own."""
        return [self._one(part)] if rows == 1 else self._many(part, rows)

    def _one(self, part: Part) -> Prediction:
        answered, index = part
        value = answered.predictions[index]
        named = self._name_of(value)
        score = scores = None
        if answered.probabilities is not None:
            row = answered.probabilities[index]
            at = self._index.get(named)
            score, scores = None if at is None else row[at], self._scores(*row)
        now = timestamp(time.time())
        return Prediction(value, named, score, scores, self._name, self._version, make_id(), now)

    def _many(self, part: Part, rows: int) -> list[Prediction]:
        """The same, a column at a time: half the cost a row."""
        answered, start = part
        values = answered.predictions[start : start + rows]
        names = [self._name_of(value) for value in values]
        scores: list[Any] = [None] * rows
        chosen: list[float | None] = [None] * rows
        if answered.probabilities is not None:
            found = answered.probabilities[start : start + rows]
            scores = [self._scores(*row) for row in found]
            positions = [self._index.get(named) for named in names]
            chosen = [None if at is None else row[at] for at, row in zip(positions, found, strict=True)]
        name, version, now = self._name, self._version, timestamp(time.time())
        return [
            Prediction(value, named, score, probabilities, name, version, identity, now)
            for value, named, score, probabilities, identity in zip(
                values, names, chosen, scores, make_ids(rows), strict=True
            )
        ]


def _scorer(labels: Sequence[str]) -> Callable[..., Any]:
    """What makes an object of a row's probabilities, which are its arguments."""
    if not are_plain(labels):
        return lambda *row: dict(zip(labels, row, strict=True))
    fields = {f"p{index}": label for index, label in enumerate(labels)}
    return msgspec.defstruct("Probabilities", [(field, float) for field in fields], rename=fields)


def _namer(signature: Signature) -> Callable[[Any], Any]:
    """How a predicted value reads: its label, a list of them, or nothing where there are no classes."""
    if signature.task != "classification":
        return lambda _: None
    label = signature.label
    if signature.outputs[0].shape:
        return lambda values: [label(value) for value in values]
    return _Labels(signature).__getitem__


class _Labels(dict[Any, str]):
    """Class value to label; a value without one reads as itself."""

    def __init__(self, signature: Signature) -> None:
        super().__init__(signature.class_labels)

    def __missing__(self, value: Any) -> str:
        return str(value)
