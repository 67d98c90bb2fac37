"""How a row of JSON values becomes a row of the signature's dtypes: the same rules for every transport.

What a single value may be is told by `model_artifact.dtypes`; here are null, constraints, names, defaults and rules.
A missing value is `None` here; what it becomes for the estimator (NaN, NA) is the decoder's affair.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from model_artifact.dtypes import Convert, ValueRefused, describe_dtype, integer_bounds
from model_artifact.signature import Feature, Signature

__all__ = ["Problem", "Row", "RowCoercer", "ValueRefused", "compile_feature", "integer_bounds", "show"]

GOT_LENGTH = 64
"""A refused value is shown back in at most so many characters."""

_LISTED = 20

Row = Sequence[Any]
"""One value a feature, in the signature's order."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request: `field` and `row` say where (null when it is the whole)."""

    field: str | None
    row: int | None
    expected: str
    got: str

    def as_json(self) -> dict[str, Any]:
        """The element of an error's `detail`."""
        return {"field": self.field, "row": self.row, "expected": self.expected, "got": self.got}


def compile_feature(feature: Feature) -> Convert:
    """Return the function that coerces and checks one value of `feature`; it raises ValueRefused."""
    coerce = feature.converter()
    if not feature.nullable:
        return coerce
    return lambda value: None if value is None else coerce(value)


def show(value: Any) -> str:
    """A refused value as it may be shown back: JSON, cut to 64 characters; containers by kind and size only."""
    if isinstance(value, Mapping):
        return f"an object of {_count(len(value), 'key')}"
    if isinstance(value, (list, tuple)):
        return f"an array of {_count(len(value), 'value')}"
    try:
        return _cut(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError):
        return type(value).__name__


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str) -> str:
    short = text if len(text) <= GOT_LENGTH else f"{text[: GOT_LENGTH - 3]}..."
    return short.encode(errors="replace").decode()  # lone surrogates could not be sent back


class RowCoercer:
    """Turns rows of JSON values into rows of the signature's dtypes, collecting every problem instead of the first."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._convert = [compile_feature(feature) for feature in signature.inputs]
        self._positions = {name: position for position, name in enumerate(signature.names)}
        self._shape = f"an array of {_count(len(signature.names), 'value')} or an object of named features"
        more = ", ..." if len(signature.names) > _LISTED else ""
        self._known = f"a known feature ({', '.join(signature.names[:_LISTED])}{more})"

    def row(self, value: Any, index: int, problems: list[Problem]) -> Row:
        """Coerce one row, given by position (array) or by name (object).

        Args:
            value: the row as parsed JSON; a bare scalar is a row of one feature.
            index: row number for messages, from 0.
            problems: is appended to; a row that added one must not be used.
        """
        before = len(problems)
        read: Callable[..., Row] = self._named if isinstance(value, Mapping) else self._positional
        row = read(value, index, problems)
        if len(problems) == before:
            self._apply_rules(row, index, problems)
        return row

    def _positional(self, value: Any, index: int, problems: list[Problem]) -> Row:
        is_array = isinstance(value, (list, tuple))
        values: Sequence[Any] = value if is_array else [value]
        if len(values) != len(self._convert):
            problems.append(Problem(None, index, self._shape, show(value)))
            return []
        try:
            return [convert(item) for convert, item in zip(self._convert, values, strict=True)]
        except ValueRefused:
            return [self._value(position, item, index, problems) for position, item in enumerate(values)]

    def _named(self, values: Mapping[str, Any], index: int, problems: list[Problem]) -> list[Any]:
        before = len(problems)
        unknown = (name for name in values if name not in self._positions)
        problems.extend(
            Problem(_cut(str(name)), index, self._known, "an unknown one") for name in islice(unknown, _LISTED)
        )
        row = []
        for position, feature in enumerate(self._signature.inputs):
            if feature.name in values:
                row.append(self._value(position, values[feature.name], index, problems))
            elif feature.required:
                problems.append(Problem(feature.name, index, describe_dtype(feature.dtype), "nothing: it is missing"))
            elif feature.default is not None:
                row.append(self._value(position, feature.default, index, problems))
            else:
                row.append(None)
        if len(problems) == before:
            self._compute(row, values, index, problems)
        return row

    def _compute(self, row: list[Any], given: Mapping[str, Any], index: int, problems: list[Problem]) -> None:
        for name, expression in self._signature.compiled_defaults.items():
            if name not in given:
                position = self._positions[name]
                value = expression(dict(zip(self._signature.names, row, strict=True)))
                row[position] = self._value(position, value, index, problems)

    def _value(self, position: int, value: Any, index: int, problems: list[Problem]) -> Any:
        try:
            return self._convert[position](value)
        except ValueRefused as refused:
            expected = f"{refused}, not null" if value is None else str(refused)
            problems.append(Problem(self._signature.names[position], index, expected, show(value)))
            return None

    def _apply_rules(self, row: Row, index: int, problems: list[Problem]) -> None:
        if not self._signature.compiled_rules:
            return
        named = dict(zip(self._signature.names, row, strict=True))
        for rule, message in self._signature.compiled_rules:
            answer = rule(named)
            if answer is not None and not answer:
                fields = ", ".join(sorted(rule.names)) or None
                problems.append(Problem(fields, index, message, _cut(f"values that break {rule.text}")))
