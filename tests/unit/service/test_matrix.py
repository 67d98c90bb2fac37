"""Matrices for estimators that were fitted without column names: one dtype for all columns, whatever is missing."""

from typing import Any

import numpy as np
import pytest

from model_artifact.signature import Feature, Output, Signature
from model_service.runtimes.sklearn import SklearnRuntime


class Echo:
    """Answers with the matrix itself."""

    def predict(self, data: Any) -> Any:
        return data


def matrix(inputs: tuple[Feature, ...], *rows: list[Any]) -> Any:
    signature = Signature("other", "matrix", inputs, (Output("prediction", "any", (len(inputs),)),))
    return SklearnRuntime(Echo(), signature).predict(list(rows)).predictions


@pytest.mark.parametrize(
    ("inputs", "dtype"),
    [
        ((Feature("a", "int64"), Feature("b", "int64")), "int64"),
        ((Feature("a", "int64"), Feature("b", "int64", nullable=True)), "float64"),
        ((Feature("a", "bool", nullable=True),), "float64"),
        ((Feature("a", "float32", nullable=True),), "float32"),
        ((Feature("a", "float32"), Feature("b", "float64")), "float64"),
        ((Feature("a", "int64"), Feature("b", "float64")), "float64"),
        ((Feature("a", "string"), Feature("b", "float64", nullable=True)), "object"),
        ((Feature("a", "string", nullable=True),), "object"),
    ],
    ids=lambda value: "-".join(item.dtype for item in value) if isinstance(value, tuple) else value,
)
def test_columns_share_a_dtype_that_holds_them_all(inputs: tuple[Feature, ...], dtype: str) -> None:
    full: list[Any] = ["x" if item.dtype == "string" else True if item.dtype == "bool" else 1 for item in inputs]
    some: list[Any] = [None if item.nullable else value for item, value in zip(inputs, full, strict=True)]
    for rows in ([full], [full, some]):
        found = matrix(inputs, *rows)
        assert found.dtype == dtype
        assert found[0].tolist() == full
        missing = [item.nullable for item in inputs]
        if len(rows) > 1:
            assert [isinstance(value, float) and np.isnan(value) for value in found[1].tolist()] == missing
