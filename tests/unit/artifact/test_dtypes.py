import math
import struct
from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_artifact.dtypes import NULL_TEXT, ValueRefused, converter, describe_dtype, integer_bounds, is_numeric
from model_artifact.signature import Dtype

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
    | st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, 1e300, -0.0, 3.0, b"bytes", 1j])
)
KINDS = {"bool": {bool}, "string": {str}, "any": {bool, int, float, str}, "float32": {float}, "float64": {float}}


def takes(dtype: str, value: Any) -> bool:
    try:
        converter(dtype)(value)
    except ValueRefused:
        return False
    return True


@given(st.sampled_from(get_args(Dtype)), ANYTHING)
def test_a_value_becomes_one_of_the_dtype_or_is_refused(dtype: str, value: Any) -> None:
    with suppress(ValueRefused):
        found = converter(dtype)(value)
        assert type(found) in KINDS.get(dtype, {int})
        assert found == value or (type(value) is int and math.isclose(found, value, rel_tol=2**-52))
        assert converter(dtype)(found) == found


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-0.0)
@example(5e-324)
@example(1.7976931348623157e308)
def test_float64_keeps_every_bit(value: float) -> None:
    assert struct.pack("<d", converter("float64")(value)) == struct.pack("<d", value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_takes_every_float32_however_it_is_rounded_as_text(value: float) -> None:
    assert converter("float32")(value) == value
    assert takes("float32", float(f"{value:.9g}"))


@given(st.floats(min_value=3.4e38, max_value=3.5e38))
@example(3.4028235677973362e38)
@example(3.4028235677973366e38)
def test_float32_takes_what_rounds_to_a_finite_one(value: float) -> None:
    try:
        struct.pack("<f", value)
    except OverflowError:
        assert not takes("float32", value)
        assert not takes("float32", -value)
    else:
        assert takes("float32", value)
        assert takes("float32", -value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, -(10**400), True, "1", [1.0]])
def test_floats_are_finite_numbers(dtype: str, value: Any) -> None:
    assert not takes(dtype, value)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_have_exact_bounds(dtype: str) -> None:
    low, high = integer_bounds(dtype)
    bits = int("".join(filter(str.isdigit, dtype)))
    lowest = 0 if dtype.startswith("u") else -(1 << bits >> 1)
    assert (low, high) == (lowest, lowest + (1 << bits) - 1)
    assert [takes(dtype, value) for value in (low - 1, low, high, high + 1)] == [False, True, True, False]
    with pytest.raises(ValueRefused, match=f"a whole number between {low} and {high}"):
        converter(dtype)(high + 1)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(
    ("value", "taken"), [(3.0, True), (-0.0, True), (3.5, False), (1e300, False), (math.nan, False)]
)
def test_a_whole_number_may_be_written_with_a_point(dtype: str, value: float, taken: bool) -> None:
    assert takes(dtype, value) == taken
    if taken:
        assert type(converter(dtype)(value)) is int


@pytest.mark.parametrize(
    ("dtype", "value", "taken"),
    [
        ("bool", True, True),
        ("bool", 1, False),
        ("bool", 0.0, False),
        ("bool", "true", False),
        *[(dtype, flag, False) for dtype in INTEGERS for flag in (True, False)],
        ("string", "", True),
        ("string", 1, False),
        ("string", True, False),
        ("string", NULL_TEXT, False),
        ("string", f"{NULL_TEXT}a", True),
        ("any", True, True),
        ("any", 1, True),
        ("any", 1.5, True),
        ("any", "x", True),
        ("any", math.nan, False),
        ("any", [], False),
        ("any", {}, False),
    ],
)
def test_a_boolean_is_no_number_and_a_number_no_boolean(dtype: str, value: Any, taken: bool) -> None:
    assert takes(dtype, value) == taken


@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_null_is_no_value_and_says_what_is(dtype: str) -> None:
    with pytest.raises(ValueRefused, match=f"^{describe_dtype(dtype)}$"):
        converter(dtype)(None)


def test_numbers_can_have_bounds() -> None:
    assert {dtype for dtype in get_args(Dtype) if is_numeric(dtype)} == {*INTEGERS, "float32", "float64"}
