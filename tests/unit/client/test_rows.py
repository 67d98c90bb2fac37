import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.rows import to_json, to_row, to_rows


@pytest.mark.parametrize(
    ("features", "row"),
    [
        ([1, 2.5, "a", True, None], [1, 2.5, "a", True, None]),
        ((1, 2), [1, 2]),
        ({"age": 35, "plan": None}, {"age": 35, "plan": None}),
        ("a great film", ["a great film"]),
        (3.5, [3.5]),
        (np.float32(0.5), [0.5]),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.5, np.nan]]), [1.5, None]),
        (np.array(7), [7]),
        (pd.Series({"age": 35, "plan": "a"}), {"age": 35, "plan": "a"}),
        (pd.Series([1.0, np.nan]), [1.0, None]),
        (pd.DataFrame({"age": [35], "plan": ["a"], "ok": [True]}), {"age": 35, "plan": "a", "ok": True}),
        (pd.DataFrame([[1, 2]]), [1, 2]),
        (pd.DataFrame({"n": pd.array([None], dtype="Int64")}), {"n": None}),
        (pd.DataFrame({"c": pd.Categorical(["x"])}), {"c": "x"}),
    ],
)
def test_one_row(features, row):
    result = to_row(features)
    assert result == row
    assert json.loads(json.dumps(result, allow_nan=False)) == row


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 2], {"a": 3}], [[1, 2], {"a": 3}]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1, 2]), [[1], [2]]),
        (["good", "bad"], [["good"], ["bad"]]),
        (pd.Series(["good", "bad"]), [["good"], ["bad"]]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        ((row for row in [[1], [2]]), [[1], [2]]),
        ([], []),
    ],
)
def test_many_rows(rows, expected):
    assert to_rows(rows) == expected


def test_columns_keep_their_types_in_a_frame_of_many():
    """A row taken as a Series would turn whole numbers into floats and 1 into 1.0."""
    [row] = to_rows(pd.DataFrame({"whole": [1], "real": [0.5]}))
    assert [type(value) for value in row.values()] == [int, float]


def test_predict_refuses_several_rows():
    with pytest.raises(ValueError, match="one row and got 2: use predict_batch"):
        to_row(pd.DataFrame({"a": [1, 2]}))
    with pytest.raises(ValueError, match="one row and got 3"):
        to_row(np.zeros((3, 2)))


@pytest.mark.parametrize("rows", [{"a": 1}, "text", 5, b"x"])
def test_predict_batch_refuses_one_row(rows):
    with pytest.raises(TypeError, match=r"many rows and got one .*: use predict"):
        to_rows(rows)


def test_arrays_of_more_dimensions_are_refused():
    with pytest.raises(ValueError, match="2 dimensions, this one has 3"):
        to_rows(np.zeros((1, 2, 2)))


def test_other_frames_are_refused_rather_than_read_by_column():
    class Frame:
        columns = ("a",)

    with pytest.raises(TypeError, match=r"Frame is not taken: convert it with \.to_pandas\(\)"):
        to_rows(Frame())


@pytest.mark.parametrize(
    "value", [datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), b"x", [1], np.datetime64("2026-01-01")]
)
def test_values_without_a_json_form_are_named(value):
    with pytest.raises(TypeError, match=r"feature 'when' is a .*: send numbers, text, true, false or null"):
        to_row({"when": value})


@pytest.mark.parametrize("value", [math.inf, -math.inf, np.float32("inf")])
def test_infinity_is_refused(value):
    with pytest.raises(ValueError, match="a value is infinite"):
        to_row([value])


@given(st.floats(allow_infinity=False))
def test_floats_arrive_bit_for_bit(value):
    arrived = json.loads(json.dumps(to_json(np.float64(value))))
    assert arrived is None if math.isnan(value) else arrived == value


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text(), st.none()))
def test_plain_values_are_left_alone(value):
    assert to_json(value) is value


@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT])
def test_every_kind_of_missing_is_null(missing):
    assert to_json(missing) is None
