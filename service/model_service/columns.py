"""The answers to many rows as JSON, a column at a time: no object is made for a row, only its text.

What differs from row to row is written in one go for all rows and cut at the commas; between these pieces lies what
is the same in every row. The encoder is the one that writes single answers, so the text is the same.
"""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from operator import getitem
from typing import Any

import numpy as np

from model_artifact.signature import Signature
from model_service.batch import Scores
from model_service.ids import make_ids
from model_service.jsontext import dumps

Column = bytes | list[bytes]
"""A piece of each row's text: the same in all rows, or one for each."""


class Columns:
    """Writes the answers of one version.

    Args:
        signature: its predictions must be scalars.
        name: of the model.
        version: of the model.
        label_of: how a predicted value reads.
    """

    def __init__(self, signature: Signature, name: str, version: str, label_of: Callable[[Any], Any]) -> None:
        self._label_of = label_of
        self._is_classifier = signature.task == "classification"
        self._places = {label: at for at, label in enumerate(signature.labels)}
        before = chain([b',"probabilities":{'], repeat(b","))
        self._keys = [next(before) + dumps(label) + b":" for label in signature.labels]
        self._model = b',"model_name":%b,"model_version":%b,"prediction_id":"' % (dumps(name), dumps(version))

    def write(self, values: list[Any], scores: Scores | None, timestamp: str) -> list[bytes]:
        """The rows' answers in pieces, with commas between the rows.

        Args:
            values: predicted, one a row.
            scores: probabilities of each row, in the order of the labels.
            timestamp: of all of them.

        Raises:
            ValueError: another number of probabilities than of labels.
        """
        opened = b',"probability":%b' % (b'null,"probabilities":null' if scores is None else b"")
        closed = self._model if scores is None else b"}" + self._model
        names = {value: self._label_of(value) for value in set(values)}
        columns = [
            *self._predictions(values, names, opened),
            *([] if scores is None else self._probabilities(values, names, scores)),
            *_identifiers(closed, len(values)), b'","timestamp":%b}' % dumps(timestamp),
        ]  # fmt: skip
        pieces = [b""] * (len(columns) * len(values))
        for at, column in enumerate(columns):
            pieces[at :: len(columns)] = column if isinstance(column, list) else [column] * len(values)
        pieces[0] = pieces[0][1:]
        return pieces

    def _predictions(self, values: list[Any], names: dict[Any, Any], after: bytes) -> list[Column]:
        if not self._is_classifier:
            return [b',{"prediction":', _texts(values), b',"prediction_class":null' + after]
        written = {
            value: b',{"prediction":%b,"prediction_class":%b%b' % (dumps(value), dumps(name), after)
            for value, name in names.items()
        }
        return [list(map(written.__getitem__, values))]

    def _probabilities(self, values: list[Any], names: dict[Any, Any], scores: Scores) -> list[Column]:
        width = len(self._keys)
        texts = dumps(_flat(scores))[1:-1].split(b",")
        if len(texts) != width * len(values):
            raise ValueError(f"expected {width} probabilities a row, got {len(texts)} in {len(values)} rows")
        by_label = [texts[at::width] for at in range(width)]
        unnamed = [b"null"] * len(values)
        chosen = {
            value: by_label[self._places[name]] if name in self._places else unnamed for value, name in names.items()
        }
        own = list(map(getitem, map(chosen.__getitem__, values), range(len(values))))
        columns: list[Column] = [own]
        for key, written in zip(self._keys, by_label, strict=True):
            columns += [key, written]
        return columns


def _texts(values: Sequence[Any]) -> list[bytes]:
    """Each value as JSON; text may have commas of its own."""
    texts = dumps(values)[1:-1].split(b",")
    return texts if len(texts) == len(values) else [dumps(value) for value in values]


def _flat(scores: Scores) -> list[float]:
    return scores.ravel().tolist() if isinstance(scores, np.ndarray) else list(chain.from_iterable(scores))


def _identifiers(before: bytes, count: int) -> tuple[list[bytes], list[bytes]]:
    """How each row's identifier begins, after what is written before it, and how it ends."""
    beginnings: list[bytes] = []
    ends: list[bytes] = []
    for beginning, some in make_ids(count):
        beginnings += [before + beginning] * len(some)
        ends += some
    return beginnings, ends
