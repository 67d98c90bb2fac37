"""A version's signature compiled: request bodies in, rows of the right types out.

The rules themselves live in `model_artifact.coercion`; this module says what a request body looks like.
"""

from collections.abc import Mapping
from typing import Any

from model_artifact.coercion import Problem, Row, RowCoercer, show
from model_artifact.signature import Signature
from model_service.decoding import Decoders
from model_service.errors import InvalidInput, PayloadTooLarge
from model_service.jsontext import loads
from model_service.runtimes.base import Rows

MAX_PROBLEMS = 100
"""Problems listed in one answer: enough to act on, not a way to have the server write megabytes."""


class Schema:
    """Decodes the requests of one signature."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._decoders = Decoders(signature)
        self._coercer = RowCoercer(signature)

    def decode_one(self, body: bytes) -> list[Row]:
        """The row of a `/predict` body, in a list.

        Raises:
            InvalidInput: with every problem found, up to 100.
        """
        return self._decoders.one(body) or self.decode([loads(body)])

    def decode_many(self, body: bytes, max_rows: int) -> Rows:
        """The rows of a `/predict/batch` body.

        Raises:
            InvalidInput: with every problem found, up to 100; one bad row refuses the whole batch, naming it.
            PayloadTooLarge: there are more than `max_rows`.
        """
        rows = self._decoders.many(body)
        if rows is not None and len(rows):
            _refuse_too_many(len(rows), max_rows)
            return rows
        return self.decode(requests_of(loads(body), max_rows))

    def quick_one(self, body: bytes) -> list[Row] | None:
        """The row of a `/predict` body, in a list; none where `decode_one` has to look."""
        return self._decoders.one(body)

    def quick_many(self, body: bytes, max_rows: int) -> Rows | None:
        """The rows of a `/predict/batch` body; none where `decode_many` has to look."""
        rows = self._decoders.many(body)
        return rows if rows is not None and 0 < len(rows) <= max_rows else None

    def values(self, rows: Rows) -> list[Row]:
        """Decoded rows as Python's own values."""
        if isinstance(rows, list):
            return rows
        kinds = [float if feature.dtype.startswith("float") else int for feature in self.signature.inputs]
        return [[kind(value) for kind, value in zip(kinds, row, strict=True)] for row in rows.tolist()]

    def decode(self, values: list[Any]) -> list[Row]:
        """Coerce `/predict` bodies that are parsed already: arrays by position, objects by name.

        Raises:
            InvalidInput: with every problem found, up to 100.
        """
        problems: list[Problem] = []
        rows: list[Row] = []
        for index, value in enumerate(values):
            rows.append(self._coercer.row(_features_of(value, index, problems), index, problems))
            if len(problems) >= MAX_PROBLEMS:
                break
        if problems:
            raise InvalidInput(_summary(problems), problems[:MAX_PROBLEMS])
        return rows


def requests_of(body: Any, max_rows: int) -> list[Any]:
    """The `/predict` bodies of a batch.

    Raises:
        InvalidInput: it is not `{"requests": [...]}`, or empty.
        PayloadTooLarge: there are more than `max_rows`.
    """
    if not isinstance(body, dict) or list(body) != ["requests"] or not isinstance(body["requests"], list):
        raise InvalidInput('expected {"requests": [...]} with one /predict body for each row')
    requests: list[Any] = body["requests"]
    if not requests:
        raise InvalidInput("expected at least one request, got none")
    _refuse_too_many(len(requests), max_rows)
    return requests


def _refuse_too_many(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise PayloadTooLarge(f"expected at most {max_rows} requests, got {rows}; send several batches")


def _features_of(body: Any, index: int, problems: list[Problem]) -> Any:
    """The row inside a `/predict` body: `{"features": row}`, or the bare named features."""
    if not isinstance(body, Mapping) or "features" not in body:
        return body
    extra = [key for key in body if key != "features"][:MAX_PROBLEMS]
    problems += [Problem(key[:64], index, "nothing beside 'features'", show(body[key])) for key in extra]
    return body["features"]


def _summary(problems: list[Problem]) -> str:
    first = problems[0]
    where = " of ".join(
        part
        for part in (first.field and repr(first.field), f"row {first.row}" if first.row is not None else "")
        if part
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where or 'the request'}: expected {first.expected}, got {first.got}{more}"
