"""Rows as people hold them - lists, dicts, DataFrames, Series, arrays - to rows as JSON.

pandas and numpy are recognised by what their objects can do, so neither is imported here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

JsonRow = list[Any] | dict[str, Any]

_MISSING_TYPES = frozenset({"NAType", "NaTType"})
"""pandas' own missing values: comparing them gives no answer, so they are known by name."""


def to_row(features: Any) -> JsonRow:
    """Return one row: an object when its features have names, an array otherwise.

    Args:
        features: list, tuple, dict, Series, one-row DataFrame, array of shape (n,) or (1, n), or a single value.

    Raises:
        ValueError: there is not exactly one row, or a number is infinite.
        TypeError: a value has no JSON form.
    """
    if _is_frame(features) or getattr(features, "ndim", 1) > 1:
        rows = to_rows(features)
        if len(rows) != 1:
            raise ValueError(f"predict takes one row and got {len(rows)}: use predict_batch")
        return rows[0]
    return _one(features)


def to_rows(rows: Any) -> list[JsonRow]:
    """Return many rows.

    Args:
        rows: DataFrame, array of shape (rows, n), or any iterable of what `to_row` takes.

    Raises:
        ValueError: a number is infinite, or an array has more than two dimensions.
        TypeError: `rows` is one row or one value, or a value has no JSON form.
    """
    if _is_frame(rows):
        return _frame_rows(rows)
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise TypeError(f"predict_batch takes many rows and got one {type(rows).__name__}: use predict")
    if getattr(rows, "ndim", 1) > 2:
        raise ValueError(f"an array of rows has 2 dimensions, this one has {rows.ndim}")  # type: ignore[attr-defined]
    return [_one(row) for row in rows]


def _is_frame(value: Any) -> bool:
    if hasattr(value, "columns") and not hasattr(value, "itertuples"):
        raise TypeError(f"a {type(value).__module__} {type(value).__name__} is not taken: convert it with .to_pandas()")
    return hasattr(value, "columns")


def _frame_rows(frame: Any) -> list[JsonRow]:
    columns = list(frame.columns)
    tuples = frame.itertuples(index=False, name=None)
    if not all(isinstance(column, str) for column in columns):
        return [[to_json(value) for value in row] for row in tuples]
    return [{name: to_json(value, name) for name, value in zip(columns, row, strict=True)} for row in tuples]


def _one(row: Any) -> JsonRow:
    if isinstance(row, Mapping):
        return {str(name): to_json(value, str(name)) for name, value in row.items()}
    if hasattr(row, "index") and hasattr(row, "items"):  # a Series, whose index may name the features
        labels = list(row.index)
        if labels and all(isinstance(label, str) for label in labels):
            return {name: to_json(value, name) for name, value in row.items()}
    if isinstance(row, (str, bytes)) or not isinstance(row, Iterable) or getattr(row, "ndim", 1) == 0:
        return [to_json(row)]
    return [to_json(value) for value in row]


def to_json(value: Any, name: str | None = None) -> Any:
    """Return a value of a feature as JSON holds it; NaN and pandas' missing values become null.

    Raises:
        ValueError: the number is infinite.
        TypeError: the value has no JSON form.
    """
    where = "a value" if name is None else f"feature {name!r}"
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"{where} is infinite: send a finite number, or null where the model takes missing values")
        return None if math.isnan(value) else float(value)
    if type(value).__name__ in _MISSING_TYPES:
        return None
    scalar = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if type(scalar) is type(value):
        raise TypeError(f"{where} is a {type(value).__name__}: send numbers, text, true, false or null")
    return to_json(scalar, name)
