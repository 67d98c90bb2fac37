"""The sample as a table of named features in the estimator's order, and back into what the estimator takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from model_artifact.coercion import Row
from model_artifact.signature import Layout
from modelport.packing.dtypes import dtype_of
from modelport.packing.errors import PackRefused
from modelport.packing.features import FeatureSpec

_NATIVE: dict[Layout, Callable[[pd.DataFrame], Any]] = {
    "frame": lambda table: table,
    "matrix": lambda table: table.to_numpy(),
    "vector": lambda table: table.iloc[:, 0].tolist(),
}


@dataclass(frozen=True)
class Sample:
    """Rows like those the estimator was fitted on: `table` has one column a feature, in the signature's order."""

    layout: Layout
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def native(self) -> Any:
        """The rows as the estimator takes them: a frame, a matrix, or a list for one text column."""
        return _NATIVE[self.layout](self.table)

    def take(self, positions: Sequence[int]) -> "Sample":
        """The rows at `positions`."""
        return Sample(self.layout, self.table.iloc[list(positions)].reset_index(drop=True))

    def rows(self) -> list[Row]:
        """The rows as JSON values in the signature's order, null for missing ones."""
        columns = [json_values(self.table[name]) for name in self.table.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def build(self, rows: Sequence[Row]) -> "Sample":
        """A sample of other rows of JSON values, in this sample's dtypes."""
        columns = {
            name: pd.Series([np.nan if row[position] is None else row[position] for row in rows], dtype=object)
            for position, name in enumerate(self.table.columns)
        }
        return Sample(self.layout, pd.DataFrame(columns).astype(dict(self.table.dtypes)))


def json_values(column: "pd.Series[Any]") -> list[Any]:
    """A column's values as JSON has them."""
    missing = column.isna().to_numpy()
    plain = column.astype(object).tolist()
    return [
        None if absent else value.item() if isinstance(value, np.generic) else value
        for value, absent in zip(plain, missing, strict=True)
    ]


def read_sample(estimator: Any, sample: Any, specs: Mapping[str, FeatureSpec]) -> Sample:
    """Arrange a sample as the estimator was fitted.

    Args:
        estimator: fitted.
        sample: a DataFrame of any columns that include the estimator's, an array of shape (n, features), or a
            sequence of n texts.
        specs: declared dtypes and categories are applied.

    Raises:
        PackRefused: no rows, columns that are missing or of a kind that JSON cannot carry, another width.
    """
    table, layout = _arrange(estimator, sample)
    if not len(table):
        raise PackRefused("the sample has no rows; give some rows like those the estimator was fitted on")
    unknown = sorted(set(specs) - set(table.columns))
    if unknown:
        raise PackRefused(f"features: {unknown[0]!r} is not a feature of the model; it has {', '.join(table.columns)}")
    columns = {name: _declared(table[name], specs.get(name, FeatureSpec())) for name in table.columns}
    checked = {name: _checked(column, layout) for name, column in columns.items()}
    return Sample(layout, pd.DataFrame(checked).reset_index(drop=True))


def _arrange(estimator: Any, sample: Any) -> tuple[pd.DataFrame, Layout]:
    names = getattr(estimator, "feature_names_in_", None)
    width = getattr(estimator, "n_features_in_", None)
    if isinstance(sample, pd.DataFrame):
        return _arrange_frame(sample, None if names is None else [str(name) for name in names], width)
    if isinstance(sample, pd.Series):
        return sample.to_frame(name=str(sample.name or "text")), "vector"
    array = sample.toarray() if hasattr(sample, "toarray") else np.asarray(sample)
    if array.ndim == 1:
        return pd.DataFrame({"text" if array.dtype.kind in "UOT" else "x0": array}), "vector"
    if array.ndim != 2:
        raise PackRefused(f"the sample has {array.ndim} dimensions; give rows of features, or a list of texts")
    if width is not None and array.shape[1] != width:
        raise PackRefused(f"the sample has {array.shape[1]} columns and the estimator was fitted with {width}")
    if names is not None:
        return pd.DataFrame(array, columns=[str(name) for name in names]), "frame"
    return pd.DataFrame(array, columns=_positional(array.shape[1])), "matrix"


def _arrange_frame(table: pd.DataFrame, names: list[str] | None, width: int | None) -> tuple[pd.DataFrame, Layout]:
    if names is not None:
        missing = [name for name in names if name not in table.columns]
        if missing:
            raise PackRefused(
                f"the sample lacks column {missing[0]!r}; the estimator was fitted with {', '.join(names)}"
            )
        return table[names], "frame"
    if width is None:
        text = table.shape[1] == 1 and dtype_of(table.iloc[:, 0]) == "string"
        return table.rename(columns=str), "vector" if text else "frame"
    if table.shape[1] != width:
        raise PackRefused(
            f"the sample has {table.shape[1]} columns and the estimator was fitted with {width} unnamed ones; "
            "leave out the others, such as the target"
        )
    if not all(isinstance(name, str) for name in table.columns):
        table = table.set_axis(_positional(width), axis=1)
    return table, "matrix"


def _positional(width: int) -> list[str]:
    return [f"x{index}" for index in range(width)]


def _declared(column: "pd.Series[Any]", spec: FeatureSpec) -> "pd.Series[Any]":
    """Apply a declared dtype and text categories, which reach the estimator as a pandas categorical."""
    if spec.dtype is not None and dtype_of(column) != spec.dtype:
        try:
            column = column.astype(pd.api.types.pandas_dtype("str" if spec.dtype == "string" else spec.dtype))
        except (TypeError, ValueError) as error:
            raise PackRefused(f"column {column.name!r} cannot become {spec.dtype}: {error}") from error
    if spec.categories is None:
        return column
    strange = [value for value in json_values(column) if value is not None and value not in spec.categories]
    if strange:
        raise PackRefused(f"column {column.name!r} holds {strange[0]!r}, which is not among its declared categories")
    return column.astype(pd.CategoricalDtype(list(spec.categories))) if dtype_of(column) == "string" else column


def _checked(column: "pd.Series[Any]", layout: Layout) -> "pd.Series[Any]":
    dtype = dtype_of(column)
    if dtype.startswith("float") and np.isinf(column.to_numpy(dtype=float, na_value=np.nan)).any():
        raise PackRefused(f"column {column.name!r} holds infinite values, which JSON cannot carry; replace them")
    if layout == "matrix" and pd.api.types.is_extension_array_dtype(column.dtype) and dtype != "string":
        return pd.Series(column.to_numpy(dtype=float, na_value=np.nan), name=column.name)
    return column
