"""Compiled decoders take what the rules take, and make the same of it; what they decline is the rules' affair."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from model_artifact.errors import ManifestInvalid
from model_artifact.signature import Feature, Output, Rule, Signature
from model_service.decoding import BULK_BYTES, Decoders
from model_service.errors import ServiceError
from model_service.schema import Schema

NAMES = ("a", "b", "c", "größe", 'in "quotes"', "back\\slash", "two\nlines", "")
DTYPES = ("any", "bool", "int8", "int64", "uint8", "uint64", "float32", "float64", "string")
LIMITS = (-math.inf, -1e30, -(2.0**63), -1, -0.5, 0, 0.5, 1, 3, 127, 255, 2.0**63, 1e30)
TOKENS = (
    "0", "-0", "1", "3", "-1", "127", "128", "255", "256", "3.0", "-0.0", "0.5", "0.1", "1e2", "1E+2", "1e-400",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "123456789012345678901234567890", "3.4028235677973366e38", "3.4028235677973362e38", "1.7976931348623157e308",
    "1e309", "-1e309", "NaN", "Infinity", "01", "+1", ".5", "1.", "null", "true", "false", '"a"', '"b"', '"\\u0061"',
    '""', '"\\ufdd0"', '"\\uFdD0"', '"\ufdd0"', '"x\ufdd0"', '"\\\\ufdd0"', '"\\ud800"', '"3"', "[]", "{}", "[1]",
)  # fmt: skip
"""Values as a body may spell them, with what borders on each dtype."""


@st.composite
def features(draw: st.DrawFn, names: Sequence[str]) -> Feature:
    """One input that a manifest may hold."""
    dtype = draw(st.sampled_from(DTYPES))
    feature = Feature(draw(st.sampled_from(names)), dtype, nullable=draw(st.booleans()))  # type: ignore[arg-type]
    tried: dict[str, Any] = {
        "categories": draw(st.none() | st.lists(st.sampled_from(["a", "b", 1, 2.5]), unique=True).map(tuple)),
        **draw(st.dictionaries(st.sampled_from(["ge", "gt", "le", "lt"]), st.sampled_from(LIMITS), max_size=3)),
        "default": draw(st.none() | st.sampled_from([0, 1, 3.0, -0.5, "a", True])),
        "computed": draw(st.none() | st.sampled_from(["a", "b + 1", "1"])),
    }  # fmt: skip
    for name, value in tried.items():
        try:
            feature = replace(feature, **{name: value})
        except ManifestInvalid:
            continue
    return feature


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    inputs = draw(st.lists(features(NAMES[:-1]), min_size=1, max_size=3, unique_by=lambda feature: feature.name))
    rules = draw(st.sampled_from([(), (), (Rule("a < 3", "a is below three"),)]))
    try:
        return Signature("other", "frame", tuple(inputs), (Output("prediction", "float64"),), rules=rules)
    except ManifestInvalid:
        assume(False)
        raise


@st.composite
def written_rows(draw: st.DrawFn, signature: Signature) -> str:
    """A row by position or by name, as text; now and then with a name too many, twice or missing."""
    token = st.sampled_from(TOKENS)
    if draw(st.booleans()):
        return f"[{', '.join(draw(token) for _ in range(len(signature.names) + draw(st.sampled_from([0, 0, 0, 1]))))}]"
    pairs = [(name, draw(token)) for name in signature.names if draw(st.integers(0, 9))]
    pairs += [(draw(st.sampled_from(NAMES)), draw(token)) for _ in range(draw(st.sampled_from([0, 0, 0, 1])))]
    return "{" + ", ".join(f"{_spelled(name)}: {value}" for name, value in draw(st.permutations(pairs))) + "}"


def _spelled(name: str) -> str:
    return json.dumps(name, ensure_ascii=len(name) % 2 == 0)


@st.composite
def requests(draw: st.DrawFn, signature: Signature) -> str:
    row = draw(written_rows(signature))
    return draw(st.sampled_from([f'{{"features": {row}}}', row, f'{{"features": {row}, "x": 1}}']))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Signature, list[bytes], bytes]:
    signature = draw(signatures())
    single = draw(st.lists(requests(signature), min_size=1, max_size=4))
    return signature, [body.encode() for body in single], f'{{"requests": [{", ".join(single)}]}}'.encode()


def exact(rows: Any) -> Any:
    """Rows with everything that could differ in an answer: type, value, and the sign of a zero."""
    return [[(type(value), value, value == 0 and math.copysign(1, value)) if isinstance(value, (int, float)) else value
             for value in row] for row in rows]  # fmt: skip


def outcome(decode: Any, *arguments: Any) -> Any:
    """What comes out: rows, or the whole answer of the error."""
    try:
        return exact(decode(*arguments))
    except ServiceError as error:
        return error.as_json()


class Declining(Decoders):
    """Leaves everything to the rules."""

    def one(self, body: bytes) -> None:
        return None

    def many(self, body: bytes) -> None:
        return None


def by_rules(signature: Signature) -> Schema:
    schema = Schema(signature)
    schema._decoders = Declining(signature)
    return schema


@given(cases())
@settings(max_examples=120)
def test_compiled_or_not_a_body_means_the_same(case: tuple[Signature, list[bytes], bytes]) -> None:
    signature, single, batch = case
    compiled, rules = Schema(signature), by_rules(signature)
    for body in single:
        assert outcome(compiled.decode_one, body) == outcome(rules.decode_one, body)
    assert outcome(compiled.decode_many, batch, 100) == outcome(rules.decode_many, batch, 100)


@given(feature=features(NAMES[:-1]), token=st.sampled_from(TOKENS))
@settings(max_examples=200)
def test_compiled_or_not_a_value_means_the_same(feature: Feature, token: str) -> None:
    try:
        signature = Signature("other", "frame", (feature,), (Output("prediction", "float64"),))
    except ManifestInvalid:
        assume(False)
        raise
    body = f'{{"features": [{token}]}}'.encode()
    assert outcome(Schema(signature).decode_one, body) == outcome(by_rules(signature).decode_one, body)


FOUR = Signature(
    "other", "frame",
    (
        Feature("number", "float64", ge=0), Feature("count", "int64", nullable=True),
        Feature("kind", "string", categories=("a", "b"), default="b"), Feature("flag", "bool"),
    ),
    (Output("prediction", "float64"),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("body", "row"),
    [
        (b'{"features": [1, 2, "a", true]}', [1.0, 2, "a", True]),
        (b'{"features": {"flag": false, "number": 0.5, "count": null}}', [0.5, None, "b", False]),
        (b'{"flag": false, "number": 1e2, "count": 9223372036854775807}', [100.0, 2**63 - 1, "b", False]),
    ],
)
def test_an_ordinary_body_is_decoded_without_the_rules(body: bytes, row: list[Any]) -> None:
    decoders = Decoders(FOUR)
    one, many = decoders.one(body), decoders.many(b'{"requests": [%b, %b]}' % (body, body))
    assert one is not None
    assert many is not None
    assert exact(one) == exact([row])
    assert exact(many) == exact([row, row])


@pytest.mark.parametrize(
    "body",
    [
        b'{"features": [1, 3.0, "a", true]}',  # taken, by the rules
        b'{"features": [-1, 2, "a", true]}',
        b'{"features": [1, 2, "c", true]}',
        b'{"features": [1, 2, "\\ufdD0", true]}',
        b'{"features": [1, 9223372036854775808, "a", true]}',
        b'{"features": [1e309, 2, "a", true]}',
        b'{"features": [1, 2, "a", 1]}',
        b'{"features": [1, 2, "a"]}',
        b'{"features": [1, 2, "a", true], "more": 1}',
        b'{"requests": []}',
        b"[" * 5000,
        b'{"\xff": 1}',
        b"",
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_rules(body: bytes) -> None:
    assert Decoders(FOUR).one(body) is None


@pytest.mark.parametrize("written", ['"\ufdd0"', '"\\ufdd0"', '"\\uFDD0"', '"\\uFdd0"', '"\\u' + 'fDD0"'])
def test_the_text_that_stands_for_null_is_refused_however_it_is_written(written: str) -> None:
    signature = Signature("other", "vector", (Feature("text", "string"),), (Output("prediction", "float64"),))
    for body in (f'{{"features": [{written}]}}', f'{{"text": {written}}}'):
        assert outcome(Schema(signature).decode_one, body.encode())["error"] == "invalid_input"


NUMBERS = [token for token in TOKENS if token.strip("-+.0123456789eE") == ""]
MANY = BULK_BYTES // len('{"features": [1]}')
"""Rows that are long enough together, however few features they have."""
NUMERIC = ("int8", "int64", "uint64", "float32", "float64")


@given(
    st.lists(st.tuples(st.sampled_from(NUMERIC), st.booleans()), min_size=1, max_size=3),
    st.lists(st.lists(st.sampled_from([*NUMBERS, "null"]), min_size=3, max_size=3), min_size=1, max_size=4),
    st.booleans(),
)
@example([("int64", False), ("float64", False)], [["-0", "-0.0", "0"], ["9007199254740993", "1e22", "0"]], False)
@example([("float32", False)], [["0.1", "0", "0"]], True)
def test_many_rows_of_numbers_are_the_same_in_an_array(
    kinds: list[tuple[Any, bool]], tokens: list[list[str]], named: bool
) -> None:
    inputs = tuple(Feature(f"x{at}", dtype, nullable=nullable) for at, (dtype, nullable) in enumerate(kinds))
    signature = Signature("other", "frame", inputs, (Output("prediction", "float64"),))
    rows = [values[: len(inputs)] for values in tokens] + [["1"] * len(inputs)] * MANY
    names = [f'"x{at}": ' if named else "" for at in range(len(inputs))]
    start, end = "{}" if named else "[]"
    written = [f'{{"features": {start}{", ".join(map(str.__add__, names, row))}{end}}}' for row in rows]
    body = f'{{"requests": [{", ".join(written)}]}}'
    compiled, rules = Schema(signature), by_rules(signature)

    def decode(schema: Schema) -> Any:
        return schema.values(schema.decode_many(body.encode(), 2 * MANY))

    assert outcome(decode, compiled) == outcome(decode, rules)


@pytest.mark.parametrize(
    ("first", "nullable", "is_array"),
    [
        ("1", False, True),
        ("1", True, True),
        ("-9007199254740991", False, True),
        ("9007199254740993", False, False),
        ("9007199254740993", True, False),
        ("null", True, False),
    ],
)
def test_numbers_that_an_array_of_float64_would_change_stay_as_they_are(
    first: str, nullable: bool, is_array: bool
) -> None:
    inputs = Feature("a", "int64", nullable=nullable), Feature("b", "float64")
    found = Decoders(signature_of(*inputs)).many(many_rows(f"[{first}, 0.5]", "[1, 2]"))
    assert found is not None
    assert isinstance(found, np.ndarray) is is_array


BOUNDED = [
    ({"ge": 2, "le": 3}, ["2", "3"], ["1.9999999999999998", "3.0000000000000004"]),
    ({"gt": 2, "lt": 3}, ["2.0000000000000004", "2.9999999999999996"], ["2", "3"]),
    ({}, ["1.7976931348623157e308", "-1.7976931348623157e308"], ["1e309", "null", "true", '"1"', "[1]", "1, 1"]),
]


@pytest.mark.parametrize(("limits", "taken", "declined"), BOUNDED)
def test_many_rows_keep_to_the_limits_to_the_last_digit(
    limits: dict[str, float], taken: list[str], declined: list[str]
) -> None:
    decoders = Decoders(signature_of(Feature("x", "float64", **limits)))
    inside = taken[0]
    assert all(isinstance(decoders.many(many_rows(f"[{value}]", f"[{inside}]")), np.ndarray) for value in taken)
    assert all(decoders.many(many_rows(f"[{value}]", f"[{inside}]")) is None for value in declined)


@pytest.mark.parametrize("value", ["128", "-129", "1.5", "1e400", "1" + "0" * 400])
def test_many_rows_keep_to_the_range_of_their_dtype(value: str) -> None:
    assert Decoders(signature_of(Feature("x", "int8"))).many(many_rows(f"[{value}]", "[1]")) is None


def signature_of(*inputs: Feature) -> Signature:
    return Signature("other", "frame", inputs, (Output("prediction", "float64"),))


def many_rows(first: str, others: str) -> bytes:
    rows = ", ".join(f'{{"features": {features}}}' for features in (first, *[others] * MANY))
    return f'{{"requests": [{rows}]}}'.encode()


@given(value=st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
def test_every_float64_is_decoded_exactly(value: float) -> None:
    signature = Signature("other", "matrix", (Feature("x", "float64"),), (Output("prediction", "float64"),))
    decoded = Decoders(signature).one(json.dumps({"features": [value]}).encode())
    assert decoded is not None
    assert exact(decoded) == exact([[value]])
