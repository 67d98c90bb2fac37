"""How pandas' and numpy's types become those of a signature, and which ones cannot."""

from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_artifact.signature import Dtype
from modelport.packing.errors import PackRefused

_BY_NAME: dict[str, Dtype] = {name: name for name in get_args(Dtype) if name not in {"any", "string"}} | {
    "boolean": "bool"
}
"""pandas' nullable dtypes differ from numpy's in their case alone, save for boolean."""
_REMEDIES = {
    "M": "turn dates into numbers (days since a date, month, ...) before the estimator sees them",
    "m": "turn durations into a number of seconds or days",
    "c": "split complex numbers into two columns",
    "f": "convert it with astype('float32')",
}
_OBJECT_REMEDY = "convert it to one of numbers, bool or text (astype('float64'), astype('boolean'), astype('str'))"


def dtype_of(column: "pd.Series[Any]") -> Dtype:
    """The signature's dtype of a column.

    Raises:
        PackRefused: dates, objects of mixed kinds and the like, with what to do.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype_of(pd.Series(dtype.categories, name=column.name))
    if str(dtype).lower() in _BY_NAME:
        return _BY_NAME[str(dtype).lower()]
    if isinstance(dtype, pd.StringDtype):
        return "string"
    if dtype == np.object_:
        found = pd.api.types.infer_dtype(column, skipna=True)
        if found == "string":
            return "string"
        raise PackRefused(f"column {column.name!r} holds objects ({found}); {_OBJECT_REMEDY}")
    remedy = _REMEDIES.get(getattr(dtype, "kind", ""), _OBJECT_REMEDY)
    raise PackRefused(f"column {column.name!r} has dtype {dtype}, which requests cannot carry; {remedy}")


def dtype_of_array(values: NDArray[Any]) -> Dtype:
    """The signature's dtype of an estimator's answers.

    Raises:
        PackRefused: answers that JSON cannot carry.
    """
    return dtype_of(pd.Series(values.reshape(-1), name="prediction"))
