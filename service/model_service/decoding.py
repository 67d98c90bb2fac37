"""Request bodies straight into rows, by decoders compiled from the signature.

They take only what the rules of `model_artifact.coercion` take, and make the same rows of it; to anything else they
say `None`, and the rules themselves decide and explain. So there is one source for what is refused and why, and a
valid body costs little more than parsing it.
"""

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_artifact.coercion import Row
from model_artifact.dtypes import FLOAT32_MAX, FLOAT64_MAX, NULL_TEXT, integer_bounds, is_numeric
from model_artifact.signature import Feature, Signature
from model_service.jsontext import are_plain
from model_service.runtimes.arrays import EXACT, doubles
from model_service.runtimes.base import Rows

Decode = Callable[[bytes], list[Row] | None]
_WRITTEN_NULL_TEXT = re.compile(NULL_TEXT.encode() + rb"|\\u(?i:fdd0)")
_INT64_MAX = integer_bounds("int64")[1]
BULK_BYTES = 4096
"""From so long a body on, plain numbers are put into an array."""
_LIMITS = {"float32": FLOAT32_MAX, "float64": FLOAT64_MAX}


class Decoders:
    """The compiled forms of `/predict` and `/predict/batch` bodies."""

    def __init__(self, signature: Signature) -> None:
        self._has_text = any(feature.dtype in {"string", "any"} for feature in signature.inputs)
        self._numbers = all(is_numeric(feature.dtype) for feature in signature.inputs) and signature.layout != "vector"
        types = [_type(feature) for feature in signature.inputs]
        compiled = are_plain(signature.names) and all(kind is not None for kind in types) and not signature.rules
        self._one, self._many = _decoders(signature, types) if compiled else ([], [])
        self._loose: list[Decode] = []
        if compiled and self._numbers:
            self._low, self._high = np.array([_span(feature) for feature in signature.inputs]).T
            if not any(feature.nullable for feature in signature.inputs):
                _, self._loose = _decoders(signature, [_kind(feature) for feature in signature.inputs])

    def one(self, body: bytes) -> list[Row] | None:
        """The row of a `/predict` body, in a list; none where the rules have to look."""
        return self._first(self._one, body)

    def many(self, body: bytes) -> Rows | None:
        """The rows of a `/predict/batch` body; none where the rules have to look."""
        if not self._numbers or len(body) < BULK_BYTES:
            return self._first(self._many, body)
        table = self._table(self._first(self._loose, body))
        if table is not None:
            return table
        rows = self._first(self._many, body)
        table = self._table(rows)
        return rows if table is None else table

    def _table(self, rows: list[Row] | None) -> NDArray[np.float64] | None:
        """Numbers within their bounds in an array, which takes a quarter of the memory while the request waits.

        To compare them here takes a tenth of what the parser needs to do it, a number at a time.
        """
        table = doubles(rows) if rows else None
        return table if table is not None and ((table >= self._low) & (table <= self._high)).all() else None

    def _first(self, decoders: Sequence[Decode], body: bytes) -> list[Row] | None:
        if self._has_text and _WRITTEN_NULL_TEXT.search(body):
            return None
        for decode in decoders:
            try:
                return decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        return None


def _decoders(signature: Signature, types: list[Any]) -> tuple[list[Decode], list[Decode]]:
    """Those of `/predict` and of `/predict/batch`, for each way to write features of these types."""
    positional: Any = tuple.__class_getitem__(tuple(types))
    named = _named(signature, types)
    take = _values_of(named)
    one, many = [], []
    for features, rows in ((positional, _positions), (named, take)):
        wrapped = msgspec.defstruct("Wrapped", [("features", features)], forbid_unknown_fields=True, gc=False)
        one.append(_decoder(wrapped, _alone, _unwrapped(rows)))
        many.append(_decoder(_requests(wrapped), _requested, _unwrapped(rows)))
    one.append(_decoder(named, _alone, take))
    many.append(_decoder(_requests(named), _requested, take))
    return one, many


def _decoder(kind: Any, items: Callable[[Any], list[Any]], rows: Callable[[list[Any]], list[Row]]) -> Decode:
    decode = msgspec.json.Decoder(kind).decode
    return lambda body: rows(items(decode(body)))


def _requests(item: Any) -> Any:
    listed: Any = list.__class_getitem__(item)
    return msgspec.defstruct("Requests", [("requests", listed)], forbid_unknown_fields=True, gc=False)


def _alone(body: Any) -> list[Any]:
    return [body]


def _requested(body: Any) -> list[Any]:
    requests: list[Any] = body.requests
    return requests


def _unwrapped(rows: Callable[[list[Any]], list[Row]]) -> Callable[[list[Any]], list[Row]]:
    return lambda items: rows([item.features for item in items])


def _positions(rows: list[Any]) -> list[Row]:
    return rows


def _named(signature: Signature, types: list[Any]) -> Any:
    """A struct with a field for each feature; those computed when left out have to be there, the rules do the rest."""
    fields: list[Any] = []
    for index, (feature, kind) in enumerate(zip(signature.inputs, types, strict=True)):
        if feature.required or feature.computed is not None:
            fields.append((f"f{index}", kind))
        else:
            default = None if feature.default is None else feature.converter()(feature.default)
            fields.append((f"f{index}", kind, default))
    names = {f"f{index}": feature.name for index, feature in enumerate(signature.inputs)}
    return msgspec.defstruct("Named", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False)


def _values_of(named: Any) -> Callable[[list[Any]], list[Row]]:
    fields = named.__struct_fields__
    get = attrgetter(*fields)
    if len(fields) == 1:
        return lambda rows: [(get(row),) for row in rows]
    return lambda rows: [get(row) for row in rows]


def _type(feature: Feature) -> Any:
    """The type whose values are exactly those that the rules take; none where there is no such type."""
    kind = _categories(feature) if feature.categories is not None else _plain(feature)
    return kind | None if feature.nullable and kind is not None else kind


def _categories(feature: Feature) -> Any:
    categories = feature.categories or ()
    texts = all(type(category) is str for category in categories)
    return Literal[categories] if categories and texts and feature.dtype == "string" else None


def _plain(feature: Feature) -> Any:
    if feature.dtype in {"bool", "string"}:
        return {"bool": bool, "string": str}[feature.dtype]
    if feature.dtype == "any":
        return None
    low, high = _range(feature)
    if _kind(feature) is float:
        return _bounded(float, feature.limits, low, high)
    exact = all(float(limit).is_integer() for limit in feature.limits.values())
    return _bounded(int, feature.limits, low, high) if high <= _INT64_MAX and exact else None


def _kind(feature: Feature) -> type[float]:
    return float if feature.dtype in _LIMITS else int


def _range(feature: Feature) -> tuple[float, float]:
    """The smallest and the largest number of a feature's dtype."""
    limit = _LIMITS.get(feature.dtype)
    return integer_bounds(feature.dtype) if limit is None else (-limit, limit)


def _span(feature: Feature) -> tuple[float, float]:
    """The smallest and the largest number that the feature takes and float64 holds exactly."""
    low, high = _range(feature)
    if _kind(feature) is int:
        low, high = max(low, 1 - EXACT), min(high, EXACT - 1)
    limits = feature.limits
    lows = limits.get("ge", low), np.nextafter(limits.get("gt", -np.inf), np.inf)
    highs = limits.get("le", high), np.nextafter(limits.get("lt", np.inf), -np.inf)
    return max(low, *lows), min(high, *highs)


def _bounded(kind: type[float], limits: dict[str, float], low: float, high: float) -> Any:
    """Numbers within the dtype's range and the feature's limits; none for limits beyond it or two of a kind."""
    doubled = {"ge", "gt"} <= limits.keys() or {"le", "lt"} <= limits.keys()
    empty = limits.get("lt", high) <= low or limits.get("gt", low) >= high
    if doubled or empty or not all(low <= limit <= high for limit in limits.values()):
        return None
    lower = {"gt": limits["gt"]} if "gt" in limits else {"ge": limits.get("ge", low)}
    upper = {"lt": limits["lt"]} if "lt" in limits else {"le": limits.get("le", high)}
    bounds: dict[str, Any] = {name: kind(limit) for name, limit in (lower | upper).items()}
    return Annotated[kind, msgspec.Meta(**bounds)]
