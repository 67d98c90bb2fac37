"""What a model answered as clients read it, written by encoders compiled from the signature."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_artifact.signature import Signature
from model_service.batch import Answered, Part
from model_service.columns import Columns
from model_service.ids import make_id
from model_service.jsontext import are_plain, dumps
from model_service.runtimes.base import Answers
from model_service.telemetry.logs import timestamp

BULK_ROWS = 32
"""From so many in a request on, columns are cheaper than objects."""
MANY_ROWS = 100
"""From so many in a call on, probabilities stay in their array; fewer may be requests of a row each."""


class Prediction(msgspec.Struct, gc=False):
    """The body of a `/predict` answer."""

    prediction: Any
    prediction_class: Any
    probability: float | None
    probabilities: Any
    model_name: str
    model_version: str
    prediction_id: str
    timestamp: str


class BatchPrediction(msgspec.Struct, gc=False):
    """The body of a `/predict/batch` answer; `processing_time` in seconds."""

    predictions: Any
    batch_size: int
    processing_time: float


def plain(answers: Answers) -> Answered:
    """A call's answers as plain values that are written as shortly as their own precision allows."""
    predictions: list[Any] = _short(answers.predictions).tolist()
    if answers.probabilities is None:
        return Answered(predictions, None)
    scores = _short(answers.probabilities)
    return Answered(predictions, scores if len(scores) >= MANY_ROWS else scores.tolist())


def _short(values: NDArray[Any]) -> NDArray[Any]:
    """Of a float32 the float64 with the same shortest decimal, not the one that equals it and is long to write."""
    return values.astype("U").astype(np.float64) if values.dtype == np.float32 else values


class Writer:
    """Writes the answers of one version."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._name, self._version = name, version
        self._name_of = _namer(signature)
        self._columns = None if signature.outputs[0].shape else Columns(signature, name, version, self._name_of)
        self._scores = _scorer(signature.labels)
        self._index: dict[Any, int] = {label: index for index, label in enumerate(signature.labels)}

    def one(self, part: Part) -> bytes:
        """The body of the answer to a single row, with an id of its own."""
        return dumps(self._prediction(part, timestamp(time.time())))

    def many(self, part: Part, rows: int, seconds: float) -> bytes:
        """The body of the answer to several rows, each with an id of its own.

        Args:
            part: where the rows' answers are.
            rows: how many there are.
            seconds: that have passed.
        """
        if rows < BULK_ROWS or self._columns is None:
            return dumps(BatchPrediction(self.predictions(part, rows), rows, seconds))
        (answered, start), stop = part, part[1] + rows
        scores = None if answered.probabilities is None else answered.probabilities[start:stop]
        pieces = self._columns.write(answered.predictions[start:stop], scores, timestamp(time.time()))
        end = b'],"batch_size":%d,"processing_time":%b}' % (rows, dumps(seconds))
        return b"".join([b'{"predictions":[', *pieces, end])

    def predictions(self, part: Part, rows: int) -> list[Prediction]:
        """The answers to a request's rows, for who wants to change them before they are written."""
        now = timestamp(time.time())
        return [self._prediction((part[0], part[1] + row), now) for row in range(rows)]

    def _prediction(self, part: Part, now: str) -> Prediction:
        answered, index = part
        value = answered.predictions[index]
        named = self._name_of(value)
        score = scores = None
        if answered.probabilities is not None:
            row = answered.probabilities[index]
            row = row if isinstance(row, list) else row.tolist()
            at = self._index.get(named)
            score, scores = None if at is None else row[at], self._scores(*row)
        return Prediction(value, named, score, scores, self._name, self._version, make_id(), now)


def _scorer(labels: Sequence[str]) -> Callable[..., Any]:
    """What makes an object of a row's probabilities, which are its arguments."""
    if not are_plain(labels):
        return lambda *row: dict(zip(labels, row, strict=True))
    fields = {f"p{index}": label for index, label in enumerate(labels)}
    return msgspec.defstruct("Probabilities", [(field, float) for field in fields], rename=fields, gc=False)


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
