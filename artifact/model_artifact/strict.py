"""Strict JSON to frozen dataclasses and back: nothing unknown, nothing of the wrong type, nothing guessed.

Field names are snake_case in Python and camelCase in JSON. Only `metadata` and `x-*` keys are free. A value that equals
its field's default may be left out, and is left out when written.
"""

import dataclasses
import json
import math
import re
import sys
import types
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from model_artifact.errors import ManifestInvalid

T = TypeVar("T")
MAX_DEPTH = 64
"""Levels of arrays and objects: far more than a person nests, far fewer than would exhaust the stack."""

_CAMEL = re.compile(r"_([a-z])")


def camel(name: str) -> str:
    """`schema_version` becomes `schemaVersion`."""
    return _CAMEL.sub(lambda match: match[1].upper(), name)


def loads(data: bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object in UTF-8.

    Refused are duplicate keys, NaN, Infinity, numbers that would be read as infinite, lone surrogates, and more than
    64 levels.

    Raises:
        ManifestInvalid: it is not such an object.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise ManifestInvalid(f"{what}: the key {twice[:80]!r} is written twice")
        return result

    def constant(text: str) -> Any:
        raise ManifestInvalid(f"{what}: {text} is not JSON")

    def finite(text: str) -> float:
        number = float(text)
        if math.isinf(number):
            raise ManifestInvalid(f"{what}: the number {text[:80]} is too large")
        return number

    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=constant, parse_float=finite)
        _refuse_unwritable(value)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"{what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{what}: expected an object, got {type(value).__name__}")
    return value


def dumps(value: Any, **first: Any) -> bytes:
    """Write a dataclass as indented JSON with a final newline: the same input gives the same bytes.

    Args:
        value: a dataclass whose leaves are plain JSON values.
        first: fields to write before all others, even where they are at their defaults.

    Raises:
        ManifestInvalid: something in it, such as NaN or an object of another library, has no form that `loads` takes.
    """
    try:
        plain = first | to_json(value)
        _refuse_unwritable(plain)
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestInvalid(f"cannot be written as JSON: {error}") from error
    return f"{text}\n".encode()


def _refuse_unwritable(value: Any) -> None:
    depth, level = 0, [value]
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        for text in level:
            if isinstance(text, str):
                text.encode()  # a lone surrogate raises
        depth, level = depth + 1, [child for item in level for child in _children(item)]


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list) else ()


def to_json(value: Any) -> Any:
    """Turn dataclasses, tuples and mappings into plain JSON values; fields at their defaults are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            camel(field.name): to_json(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if _is_required(field) or getattr(value, field.name) != _default(field)
        }
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"the key {other[0]!r} is not text")
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def read(kind: type[T], data: Any, where: str) -> T:
    """Build the dataclass `kind` from parsed JSON.

    Args:
        kind: a frozen dataclass.
        data: parsed JSON.
        where: the JSON path, for messages.

    Raises:
        ManifestInvalid: naming the path, what was expected and what came.
    """
    if not isinstance(data, dict):
        raise ManifestInvalid(f"{where}: expected an object, got {_got(data)}")
    fields = {camel(field.name): field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(key for key in data if key not in fields and not key.startswith("x-"))
    if unknown:
        raise ManifestInvalid(
            f"{where}: unknown field {unknown[0][:80]!r}; known are {', '.join(fields)}, and any 'x-...'"
        )
    hints = _hints(kind)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in data:
            values[field.name] = _convert(hints[field.name], data[key], f"{where}.{key}")
        elif _is_required(field):
            raise ManifestInvalid(f"{where}.{key}: missing")
    try:
        return kind(**values)
    except ManifestInvalid as error:
        raise ManifestInvalid(f"{where}: {error}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)  # slow, and asked once for each feature of a wide model


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return read(hint, value, where)  # type: ignore[arg-type]
    if origin in {Union, types.UnionType}:
        return _convert_union(args, value, where)
    if origin is Literal:
        return _require(value in args and type(value) in {type(arg) for arg in args}, value, where, f"one of {args}")
    if origin is tuple:
        _require(isinstance(value, list), value, where, "an array")
        return tuple(_convert(args[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        _require(isinstance(value, dict), value, where, "an object")
        return {key: _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    options = [arg for arg in args if arg is not type(None)]
    if len(options) == 1:
        return _convert(options[0], value, where)
    return _require(type(value) in options, value, where, " or ".join(option.__name__ for option in options))


def _convert_scalar(hint: type, value: Any, where: str) -> Any:
    if hint is float and type(value) is int:
        return _require(abs(value) <= sys.float_info.max, value, where, "a number that fits a float")
    return _require(type(value) is hint, value, where, hint.__name__)


def _require(holds: bool, value: Any, where: str, expected: str) -> Any:
    if not holds:
        raise ManifestInvalid(f"{where}: expected {expected}, got {_got(value)}")
    return value


def _got(value: Any) -> str:
    return "null" if value is None else f"{type(value).__name__} {json.dumps(value)[:60]}"


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
