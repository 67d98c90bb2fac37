from typing import Any

import pytest

from model_artifact.errors import ManifestInvalid
from model_artifact.signature import RESERVED, Feature, Output, Rule, Signature

AGE, PLAN = Feature("age", "int64"), Feature("plan", "string")
OUTPUT = Output("prediction", "any")


def signature(*inputs: Feature, **changes: Any) -> Signature:
    return Signature(**{"task": "other", "layout": "frame", "inputs": inputs, "outputs": (OUTPUT,)} | changes)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": ""}, "its name is empty"),
        ({"dtype": "string", "ge": 1}, "ge need a numeric dtype, not string"),
        ({"dtype": "any", "gt": 1, "lt": 2}, "gt and lt need a numeric dtype, not any"),
        ({"dtype": "bool", "le": 1}, "need a numeric dtype, not bool"),
        ({"default": 1, "computed": "2"}, "default and computed exclude each other"),
        ({"default": "x"}, "default 'x' is refused: expected a whole number"),
        ({"default": True}, "default True is refused: expected a whole number"),
        ({"default": 200, "dtype": "int8"}, "expected a whole number between -128 and 127"),
        ({"default": 5, "ge": 6}, "default 5 is refused: expected a value >= 6"),
        ({"default": 5, "categories": (1, 2)}, "default 5 is refused: expected one of 1, 2"),
        ({"example": 0.5}, "example 0.5 is refused: expected a whole number"),
        ({"example": 5, "lt": 5}, "example 5 is refused: expected a value < 5"),
        ({"categories": (1, "b")}, "category 'b' is refused: expected a whole number"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        Feature(**{"name": "age", "dtype": "int64"} | values)
    assert str(refused.value).startswith(f"feature {values.get('name', 'age')!r}: ")
    assert says in str(refused.value)


def test_a_feature_may_use_all_it_can() -> None:
    feature = Feature("age", "float32", True, 1, None, 0, 9, -1, 10, (1, 2.5), "years", 2.5)
    assert feature.limits == {"ge": 0, "gt": -1, "le": 9, "lt": 10}
    assert not feature.required


@pytest.mark.parametrize(
    ("feature", "required"),
    [
        (AGE, True),
        (Feature("age", "int64", nullable=True), True),
        (Feature("age", "int64", default=0), False),
        (Feature("flag", "bool", default=False), False),
        (Feature("age", "int64", computed="1"), False),
    ],
)
def test_what_has_a_default_need_not_be_given(feature: Feature, required: bool) -> None:
    assert feature.required == required


@pytest.mark.parametrize(
    ("inputs", "changes", "says"),
    [
        ((), {}, "inputs: at least one"),
        ((AGE, AGE), {}, "inputs: a name is used twice"),
        ((AGE, PLAN), {"layout": "vector"}, "a vector has exactly one"),
        ((AGE,), {"classes": (0, 1), "labels": ("no",)}, "labels: need one for each class"),
        ((AGE,), {"classes": (0, 1), "labels": ("no", "no")}, "labels: a label is used twice"),
        ((AGE,), {"classes": (1, 1.0), "labels": ("a", "b")}, "classes: a value is listed twice"),
        ((AGE,), {"rules": (Rule("agee > 1", ""),)}, "expression 'agee > 1': unknown feature 'agee'; known are age"),
        ((AGE,), {"rules": (Rule("age.real", ""),)}, r"'age.real' is not allowed"),
        ((Feature("x", "int64", computed="y"),), {}, "unknown feature 'y'"),
        ((Feature("x", "int64", computed="x + 1"),), {}, "inputs: computed from each other: x from x"),
    ],
)
def test_a_signature_that_contradicts_itself_is_refused(
    inputs: tuple[Feature, ...], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        signature(*inputs, **changes)
    assert says in str(refused.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_keys_of_the_request_are_no_feature_names(name: str) -> None:
    with pytest.raises(ManifestInvalid, match=f"inputs: '{name}' is reserved by the request format; rename the column"):
        signature(Feature(name, "int64"))


def test_computed_features_come_after_those_they_read() -> None:
    found = signature(
        Feature("third", "int64", computed="second + 1"),
        Feature("second", "int64", computed="first + 1"),
        Feature("first", "int64", computed="age + 1"),
        AGE,
    )
    assert list(found.compiled_defaults) == ["first", "second", "third"]


def test_a_longer_circle_is_named() -> None:
    with pytest.raises(ManifestInvalid, match=r"computed from each other: . from . from ."):
        signature(Feature("x", "int64", computed="y"), Feature("y", "int64", computed="x"))


def test_classes_have_labels_and_other_values_read_as_themselves() -> None:
    found = signature(AGE, classes=(0, 1), labels=("stays", "leaves"))
    assert [found.label(value) for value in (0, 1, 2, "x")] == ["stays", "leaves", "2", "x"]
    assert signature(AGE).label(0.5) == "0.5"


def test_probabilities_are_an_output() -> None:
    assert not signature(AGE).has_probabilities
    assert signature(AGE, outputs=(OUTPUT, Output("probabilities", "float64", (2,)))).has_probabilities
