"""Rows of Python values as arrays."""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_artifact.coercion import Row
from model_service.runtimes.base import Rows

EXACT = 2.0**53
"""Smaller whole numbers are the same as float64."""


def doubles(rows: list[Row]) -> NDArray[np.float64] | None:
    """Rows of plain numbers as an array (rows, features); none where there is a null, or a number that would change.

    They are packed one by one, which takes half the time that numpy needs to find out what they hold.
    """
    pack = _doubles(len(rows[0])).pack
    try:
        packed = bytearray().join([pack(*row) for row in rows])  # writable, as estimators may expect
    except struct.error:
        return None
    return np.frombuffer(packed).reshape(len(rows), -1)


def matrix(rows: Rows, dtype: DTypeLike) -> NDArray[Any]:
    """Rows as an array of shape (rows, features), the caller's own; null becomes NaN in those of floats."""
    packed = doubles(rows) if isinstance(rows, list) and rows and np.dtype(dtype) == np.float64 else None
    return np.array(rows, dtype=dtype) if packed is None else packed


def column(rows: Rows, at: int) -> Rows:
    """Rows of the feature at a position alone."""
    return rows[:, at : at + 1] if isinstance(rows, np.ndarray) else [[row[at]] for row in rows]


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows, one part after the other: an array where every part is one."""
    if len(parts) == 1:
        return parts[0]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return [row for part in parts for row in (part.tolist() if isinstance(part, np.ndarray) else part)]


@lru_cache(maxsize=64)
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"={count}d")
