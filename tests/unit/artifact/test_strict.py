"""JSON and its refusals, whatever document it is."""

import json
import math
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.errors import ManifestInvalid
from model_artifact.strict import MAX_DEPTH, camel, dumps, loads, read, to_json

JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | JSON_TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(JSON_TEXT, children, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Leaf:
    wanted: int
    share: float = 0.5


@dataclass(frozen=True)
class Document:
    leaf_list: tuple[Leaf, ...] = ()
    kind: Literal["a", "b"] = "a"
    scalar: bool | int | float | str | None = None
    several: tuple[int | str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    maybe: Leaf | None = None
    free: Any = None


LEAVES = st.builds(
    Leaf, st.integers(), st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18)
)
DOCUMENTS = st.builds(
    Document,
    leaf_list=st.lists(LEAVES, max_size=3).map(tuple),
    kind=st.sampled_from(["a", "b"]),
    scalar=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | JSON_TEXT,
    counts=st.dictionaries(JSON_TEXT, st.integers(), max_size=3),
    maybe=st.none() | LEAVES,
    free=JSON_VALUES,
)


@given(DOCUMENTS)
def test_what_is_written_is_read_back_equal_and_written_the_same(document: Document) -> None:
    data = dumps(document)
    found = read(Document, loads(data, "doc"), "doc")
    assert found == document
    assert type(found.scalar) is type(document.scalar)
    assert dumps(found) == data
    assert data.endswith(b"\n")


@given(st.dictionaries(JSON_TEXT, JSON_VALUES, max_size=4))
def test_any_object_survives_to_the_last_bit(value: dict[str, Any]) -> None:
    assert json.dumps(loads(dumps(value), "doc")) == json.dumps(value)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_bytes_are_an_object_or_refused(data: bytes) -> None:
    with suppress(ManifestInvalid):
        assert isinstance(loads(data, "doc"), dict)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not valid JSON"),
        (b"[]", "expected an object, got list"),
        (b"null", "expected an object, got NoneType"),
        (b"{} {}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": 1, "b": 2, "a": 1}', "the key 'a' is written twice"),
        (b'{"x": [{"a": 1, "a": 2}]}', "the key 'a' is written twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": -1e999}', "-1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"a": "\\ud800"}', "surrogates not allowed"),
        (b'{"\\udfff": 1}', "surrogates not allowed"),
        (b'{"a": "\xff"}', "can't decode"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        ('{"a": 1}'.encode("utf-16"), "can't decode"),
        (b'{"a": "\n"}', "control character"),
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ManifestInvalid, match=says):
        loads(data, "doc")


@pytest.mark.parametrize("levels", [MAX_DEPTH, 500, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused_without_a_crash(levels: int, opening: bytes, closing: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="doc is not valid JSON"):
        loads(b'{"a":' + opening * levels + b"1" + closing * levels + b"}", "doc")


def test_what_is_nested_as_deep_as_allowed_can_be_written_again() -> None:
    assert MAX_DEPTH == 64, "as the documentation says"
    data = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"1" + b"]" * (MAX_DEPTH - 1) + b"}"
    value = loads(data, "doc")
    assert loads(dumps(value), "doc") == value


def cycle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


def nested(levels: int) -> dict[str, Any]:
    value: Any = 0
    for _ in range(levels):
        value = {"a": value}
    return {"a": value}


@pytest.mark.parametrize(
    "value",
    [
        {"a": math.nan},
        {"a": math.inf},
        {"a": object()},
        {"a": {1, 2}},
        {"a": b"bytes"},
        {"a": "\ud800"},
        {1: "a"},
        {"a": {None: 1}},
        {"a": 10**5000},
        cycle(),
        nested(MAX_DEPTH),
    ],
)
def test_what_could_not_be_read_back_is_not_written(value: dict[Any, Any]) -> None:
    with pytest.raises(ManifestInvalid, match="cannot be written as JSON"):
        dumps(value)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "doc: expected an object, got list []"),
        ({"kind": "c"}, "doc.kind: expected one of ('a', 'b'), got str \"c\""),
        ({"kind": []}, "doc.kind: expected one of ('a', 'b'), got list []"),
        ({"leafList": {}}, "doc.leafList: expected an array, got dict {}"),
        ({"leafList": [{"wanted": 1}, {"wanted": "x"}]}, 'doc.leafList[1].wanted: expected int, got str "x"'),
        ({"leafList": [{"wanted": True}]}, "doc.leafList[0].wanted: expected int, got bool true"),
        ({"leafList": [{"wanted": 1.0}]}, "doc.leafList[0].wanted: expected int, got float 1.0"),
        ({"leafList": [{"wanted": None}]}, "doc.leafList[0].wanted: expected int, got null"),
        ({"leafList": [{}]}, "doc.leafList[0].wanted: missing"),
        ({"leafList": [{"wanted": 1, "share": True}]}, "doc.leafList[0].share: expected float, got bool true"),
        ({"leafList": [{"wanted": 1, "share": 10**400}]}, "doc.leafList[0].share: expected a number that fits a float"),
        ({"scalar": []}, "doc.scalar: expected bool or int or float or str, got list []"),
        ({"several": [1, "a", None]}, "doc.several[2]: expected int or str, got null"),
        ({"counts": []}, "doc.counts: expected an object, got list []"),
        ({"counts": {"a": "1"}}, 'doc.counts.a: expected int, got str "1"'),
        ({"maybe": 1}, "doc.maybe: expected an object, got int 1"),
        ({"leaf_list": []}, "doc: unknown field 'leaf_list'; known are leafList, kind,"),
        ({"maybe": {"wanted": 1, "extra": 1}}, "doc.maybe: unknown field 'extra'; known are wanted, share, and any"),
        ({"X-a": 1}, "doc: unknown field 'X-a'"),
    ],
)
def test_a_wrong_document_is_told_by_its_path(document: Any, says: str) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        read(Document, document, "doc")
    assert str(refused.value).startswith(says)
    assert len(str(refused.value)) < 300


def test_null_is_taken_where_it_may_stand() -> None:
    assert read(Document, {"scalar": None, "maybe": None, "free": None}, "doc") == Document()


def test_a_whole_number_is_a_float_as_far_as_floats_go() -> None:
    largest = int(sys.float_info.max)
    assert read(Leaf, {"wanted": 1, "share": largest}, "doc").share == largest
    with pytest.raises(ManifestInvalid, match=r"doc\.share: expected a number that fits a float"):
        read(Leaf, {"wanted": 1, "share": -largest * 2}, "doc")


def test_what_is_written_reads_well() -> None:
    assert dumps({"name": "modèle"}) == '{\n  "name": "modèle"\n}\n'.encode()


def test_extension_fields_are_free_at_any_level() -> None:
    document = {"x-team": {"any": ["thing"]}, "maybe": {"wanted": 1, "x-note": None}}
    assert read(Document, document, "doc") == Document(maybe=Leaf(1))


def test_defaults_are_left_out_and_names_are_camel_case() -> None:
    assert to_json(Document(leaf_list=(Leaf(1), Leaf(2, 0.25)))) == {
        "leafList": [{"wanted": 1}, {"wanted": 2, "share": 0.25}]
    }
    assert camel("schema_version") == "schemaVersion"


def test_long_values_are_cut_in_messages() -> None:
    for document in ({"kind": "x" * 10_000}, {"x" * 10_000: 1}):
        with pytest.raises(ManifestInvalid) as refused:
            read(Document, document, "doc")
        assert len(str(refused.value)) < 300
