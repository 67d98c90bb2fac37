"""What each dtype takes: one JSON value in, the same value of the dtype out, or a refusal that says what was expected.

| dtype | takes | refuses |
|---|---|---|
| float64, float32 | any number; float32 what rounds into its range | text, booleans, numbers beyond the range |
| int*, uint* | whole numbers within the range, also written 3.0 | fractions, text, booleans |
| bool | true, false | everything else |
| string | text | everything else, and `NULL_TEXT` |
| any | any finite one of the above as it comes | arrays and objects |
"""

import json
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Convert = Callable[[Any], Any]
Check = tuple[Callable[[Any], bool], str]

NULL_TEXT = "\ufdd0"
"""Null in tensors, which hold text alone: a noncharacter, which Unicode keeps for a program's own use."""

FLOAT64_MAX = sys.float_info.max
FLOAT32_MAX = math.nextafter((2 - 2**-24) * 2.0**127, 0)
"""The largest number that rounds to a finite float32: a little above the largest float32, whose text is rounded up."""

COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "ge": (">=", operator.ge),
    "gt": (">", operator.gt),
    "le": ("<=", operator.le),
    "lt": ("<", operator.lt),
}
_SHOWN_CATEGORIES = 20


class ValueRefused(Exception):
    """A value breaks a feature's rules; the text says what was expected."""


def is_numeric(dtype: str) -> bool:
    """Whether values of the dtype can have bounds."""
    return dtype.startswith(("int", "uint", "float"))


def integer_bounds(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype."""
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def describe_dtype(dtype: str) -> str:
    """What a dtype takes, in a few words."""
    return _WORDS.get(dtype) or ("a number" if dtype.startswith("float") else "a whole number")


def converter(dtype: str) -> Convert:
    """Return the function that turns one JSON value into a value of `dtype`; it raises ValueRefused."""
    if dtype in _CONVERT:
        return _CONVERT[dtype]
    return _to_int(*integer_bounds(dtype))


def bounds(limits: dict[str, float]) -> Iterator[Check]:
    """Checks for the given limits by name (`ge`, `gt`, `le`, `lt`), each with the sentence naming them all."""
    wording = "a value " + " and ".join(f"{COMPARISONS[name][0]} {limit}" for name, limit in limits.items())
    for name, limit in limits.items():
        yield _bound(COMPARISONS[name][1], limit), wording


def membership(categories: Sequence[Any]) -> Check:
    """The check that a value is one of `categories`, with a sentence naming the first of them."""
    shown = ", ".join(json.dumps(category, ensure_ascii=False) for category in categories[:_SHOWN_CATEGORIES])
    more = ", ..." if len(categories) > _SHOWN_CATEGORIES else ""
    return frozenset(categories).__contains__, f"one of {shown}{more}"


def _bound(compare: Callable[[Any, Any], bool], limit: float) -> Callable[[Any], bool]:
    return lambda value: compare(value, limit)


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


def _to_int(low: int, high: int) -> Convert:
    def convert(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise ValueRefused("a whole number")
        if not low <= value <= high:
            raise ValueRefused(f"a whole number between {low} and {high}")
        return value

    return convert


def _exactly(*kinds: type, words: str) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
            raise ValueRefused(words)
        return value

    return convert


def _to_text(value: Any) -> str:
    if type(value) is not str or value == NULL_TEXT:
        raise ValueRefused(_WORDS["string"])
    return value


_WORDS = {"any": "a number, text, true or false", "bool": "true or false", "string": "text"}
_CONVERT: dict[str, Convert] = {
    "any": _exactly(bool, int, float, str, words=_WORDS["any"]),
    "bool": _exactly(bool, words=_WORDS["bool"]),
    "string": _to_text,
    "float32": _to_float(FLOAT32_MAX),
    "float64": _to_float(FLOAT64_MAX),
}
