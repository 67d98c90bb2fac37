"""Patches between statuses."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.control_plane import merge

from model_operator.patches import patch_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


def stored(value: Any) -> Any:
    """As an API server keeps it: a null in a map is no field."""
    if isinstance(value, dict):
        return {key: stored(found) for key, found in value.items() if found is not None}
    return value


def test_keys_that_are_gone_are_taken_away() -> None:
    before = {"counts": {"pod-1": {"1": 3}, "pod-2": {"1": 4}}, "stage": "Idle"}
    assert patch_of(before, {"counts": {"pod-2": {"1": 5}}, "stage": "Idle"}) == {
        "counts": {"pod-1": None, "pod-2": {"1": 5}}
    }


def test_nothing_is_no_difference() -> None:
    assert patch_of({"a": 1}, {"a": 1, "candidate": None}) == {}


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    before = stored(before)
    assert merge(before, patch_of(before, after)) == stored(after)
    assert patch_of(stored(after), after) == {}
