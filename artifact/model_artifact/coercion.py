"""How one JSON value becomes a value of a feature's dtype, and what is refused: the same rules for every transport.

| dtype | takes | refuses |
|---|---|---|
| float64, float32 | any number; float32 within its range | text, booleans, numbers beyond the range |
| int*, uint* | whole numbers within the range, also written 3.0 | fractions, text, booleans |
| bool | true, false | everything else |
| string | text | everything else |
| any | any of the above as it comes | arrays and objects |
| all | null, if the feature is nullable | null otherwise |

A missing value is `None` here; what it becomes for the estimator (NaN, NA) is the decoder's affair.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_artifact.signature import Feature, Signature

FLOAT32_MAX = 3.4028234663852886e38
GOT_LENGTH = 64

Row = list[Any]
Convert = Callable[[Any], Any]


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


class ValueRefused(Exception):
    """A value breaks a feature's rules; the text says what was expected."""


def integer_bounds(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype."""
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _to_float(limit: float) -> Convert:
    def convert(value: Any) -> float:
        if type(value) is not float and type(value) is not int:
            raise ValueRefused("a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not -limit <= number <= limit:
            raise ValueRefused(f"a finite number between {-limit:g} and {limit:g}")
        return number

    return convert


def _to_int(dtype: str) -> Convert:
    low, high = integer_bounds(dtype)

    def convert(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise ValueRefused("a whole number")
        if not low <= value <= high:
            raise ValueRefused(f"a whole number between {low} and {high}")
        return value

    return convert


def _exactly(kind: type, what: str) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueRefused(what)
        return value

    return convert


def _to_scalar(value: Any) -> Any:
    if type(value) not in {bool, int, float, str}:
        raise ValueRefused("a number, text, true or false")
    return value


def _converter(dtype: str) -> Convert:
    if dtype == "any":
        return _to_scalar
    if dtype == "bool":
        return _exactly(bool, "true or false")
    if dtype == "string":
        return _exactly(str, "text")
    if dtype.startswith("float"):
        return _to_float(FLOAT32_MAX if dtype == "float32" else 1.7976931348623157e308)
    return _to_int(dtype)


def _checks(feature: Feature) -> Iterator[tuple[Callable[[Any], bool], str]]:
    bounds: list[tuple[float | None, str, Callable[[Any, float], bool]]] = [
        (feature.ge, ">=", lambda value, bound: value >= bound),
        (feature.gt, ">", lambda value, bound: value > bound),
        (feature.le, "<=", lambda value, bound: value <= bound),
        (feature.lt, "<", lambda value, bound: value < bound),
    ]
    given = [(bound, sign, holds) for bound, sign, holds in bounds if bound is not None]
    wording = "a value " + " and ".join(f"{sign} {bound}" for bound, sign, _ in given)
    for bound, _, holds in given:
        yield lambda value, bound=bound, holds=holds: holds(value, bound), wording  # type: ignore[misc]
    if feature.categories is not None:
        allowed = frozenset(feature.categories)
        shown = ", ".join(json.dumps(category, ensure_ascii=False) for category in feature.categories[:20])
        more = ", ..." if len(feature.categories) > 20 else ""
        yield lambda value: value in allowed, f"one of {shown}{more}"


def compile_feature(feature: Feature) -> Convert:
    """Return the function that coerces and checks one value of `feature`; it raises ValueRefused."""
    convert, checks, nullable = _converter(feature.dtype), tuple(_checks(feature)), feature.nullable

    def coerce(value: Any) -> Any:
        if value is None:
            if nullable:
                return None
            raise ValueRefused(f"{describe(feature)}, not null")
        converted = convert(value)
        for holds, expected in checks:
            if not holds(converted):
                raise ValueRefused(expected)
        return converted

    return coerce


def describe(feature: Feature) -> str:
    """What a feature takes, in three words or fewer."""
    try:
        _converter(feature.dtype)(None)
    except ValueRefused as refused:
        return str(refused)
    return "a value"


def show(value: Any) -> str:
    """A refused value as it may be shown back: JSON, cut to 64 characters; containers by kind and size only."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    if isinstance(value, (list, tuple)):
        return f"an array of {len(value)} values"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = type(value).__name__
    return text if len(text) <= GOT_LENGTH else f"{text[:GOT_LENGTH]}..."


class RowCoercer:
    """Turns rows of JSON values into rows of the signature's dtypes, collecting every problem instead of the first."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._convert = [compile_feature(feature) for feature in signature.inputs]
        self._names = frozenset(signature.names)

    def row(self, value: Any, index: int, problems: list[Problem]) -> Row:
        """Coerce one row, given by position (array) or by name (object).

        Args:
            value: the row as parsed JSON; a bare scalar is a row of one feature.
            index: row number for messages, from 0.
            problems: is appended to; a row that added one must not be used.
        """
        if isinstance(value, Mapping):
            return self._named(value, index, problems)
        if isinstance(value, (list, tuple)):
            return self._positional(value, index, problems)
        if len(self._convert) == 1:
            return self._positional([value], index, problems)
        problems.append(Problem(None, index, self._shape(), show(value)))
        return []

    def _shape(self) -> str:
        count = len(self._convert)
        return f"an array of {count} value{'s'[: count > 1]} or an object of named features"

    def _positional(self, values: Sequence[Any], index: int, problems: list[Problem]) -> Row:
        if len(values) != len(self._convert):
            problems.append(Problem(None, index, self._shape(), f"an array of {len(values)} values"))
            return []
        return self._checked(list(values), index, problems)

    def _named(self, values: Mapping[str, Any], index: int, problems: list[Problem]) -> Row:
        before = len(problems)
        for name in values:
            if name not in self._names:
                known = ", ".join(self._signature.names[:20])
                problems.append(Problem(str(name)[:GOT_LENGTH], index, f"a known feature ({known})", "an unknown one"))
        problems.extend(
            Problem(feature.name, index, describe(feature), "nothing: it is missing")
            for feature in self._signature.inputs
            if feature.required and feature.name not in values
        )
        if len(problems) > before:
            return []
        row = [values.get(feature.name, feature.default) for feature in self._signature.inputs]
        left_out = [name for name in self._signature.compiled_defaults if name not in values]
        return self._checked(self._compute(row, left_out) if left_out else row, index, problems)

    def _compute(self, row: Row, left_out: list[str]) -> Row:
        known = dict(zip(self._signature.names, row, strict=True))
        for name in left_out:
            known[name] = self._signature.compiled_defaults[name](known)
        return list(known.values())

    def _checked(self, row: Row, index: int, problems: list[Problem]) -> Row:
        before = len(problems)
        for position, (convert, value) in enumerate(zip(self._convert, row, strict=True)):
            try:
                row[position] = convert(value)
            except ValueRefused as refused:
                name = self._signature.inputs[position].name
                problems.append(Problem(name, index, str(refused), show(value)))
        if len(problems) == before and self._signature.rules:
            self._apply_rules(row, index, problems)
        return row

    def _apply_rules(self, row: Row, index: int, problems: list[Problem]) -> None:
        named = dict(zip(self._signature.names, row, strict=True))
        for rule, message in self._signature.compiled_rules:
            if rule(named) is False:
                fields = ", ".join(sorted(rule.names))
                problems.append(Problem(fields, index, message, f"values that break {rule.text}"))
