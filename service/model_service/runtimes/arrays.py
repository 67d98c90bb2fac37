"""Rows of Python values as arrays."""

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_artifact.coercion import Row


def matrix(rows: list[Row], dtype: DTypeLike) -> NDArray[Any]:
    """Rows as an array of shape (rows, features); null becomes NaN in those of floats.

    Rows of floats are packed one by one, which takes half the time that numpy needs to find out what they hold.
    """
    if np.dtype(dtype) == np.float64 and rows:
        try:
            pack = _doubles(len(rows[0])).pack
            packed = bytearray().join([pack(*row) for row in rows])  # writable, as estimators may expect
            return np.frombuffer(packed).reshape(len(rows), -1)
        except struct.error:  # a null is among them
            pass
    return np.array(rows, dtype=dtype)


@lru_cache(maxsize=64)
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"={count}d")
