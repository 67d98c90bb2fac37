"""Answers written by columns are, but for their identifiers, those written one by one."""

import json
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.signature import Feature, Output, Signature
from model_service.answers import BULK_ROWS, MANY_ROWS, BatchPrediction, Writer, plain
from model_service.batch import joined
from model_service.jsontext import dumps
from model_service.runtimes.base import Answers

OWN = re.compile(rb'"(?:prediction_id|timestamp)":"[^"]+"')
"""What no two answers have in common."""
FEW, MANY = BULK_ROWS + 3, MANY_ROWS + 1
LABELS = st.text(st.sampled_from('ab,:"{}[]\\\n €'), max_size=4)
SCORES = st.floats(0, 1) | st.just(float("nan"))


def classifier(values: Sequence[Any], labels: Sequence[str], *, scored: bool = True) -> Signature:
    outputs = [Output("prediction", "any"), Output("probabilities", "float64", (len(labels),))]
    inputs = (Feature("x", "float64"),)
    return Signature(
        "classification", "matrix", inputs, tuple(outputs if scored else outputs[:1]), tuple(values), tuple(labels)
    )


def regressor(*shape: int) -> Signature:
    return Signature("regression", "matrix", (Feature("x", "float64"),), (Output("prediction", "any", shape),))


def both(signature: Signature, answers: Answers, start: int = 0) -> tuple[bytes, bytes]:
    """The body written by columns, and one by one, from the row at `start` on."""
    writer = Writer(signature, 'the "model"', "1")
    part, rows = (plain(answers), start), len(answers) - start
    one_by_one = dumps(BatchPrediction(writer.predictions(part, rows), rows, 0.25))
    return writer.many(part, rows, 0.25), one_by_one


def same(pair: tuple[bytes, bytes]) -> bool:
    left, right = (OWN.sub(b"", text) for text in pair)
    return left == right


@given(st.lists(LABELS, min_size=1, max_size=4, unique=True), st.booleans(), st.booleans(), st.data())
def test_classes_are_written_alike(labels: list[str], many: bool, scored: bool, data: st.DataObject) -> None:
    rows, classes = MANY if many else FEW, len(labels)
    drawn = data.draw(st.lists(SCORES, min_size=4 * classes, max_size=4 * classes))
    scores = np.resize(drawn, (rows, classes))
    values = np.resize(data.draw(st.lists(st.integers(0, classes), min_size=1, max_size=7)), rows)  # one has no label
    answers = Answers(values, scores if scored else None)
    assert same(both(classifier(range(classes), labels, scored=scored), answers, data.draw(st.integers(0, 2))))


@given(
    st.lists(st.floats(allow_infinity=False, width=32), min_size=1)
    | st.lists(st.integers(-(2**53), 2**53), min_size=1)
    | st.lists(st.booleans(), min_size=1)
    | st.lists(st.text(max_size=5), min_size=1)
)
def test_any_scalar_is_written_alike(values: list[Any]) -> None:
    assert same(both(regressor(), Answers(np.resize(values, FEW), None)))


def test_float32_is_written_as_short_as_it_is() -> None:
    scores = np.resize(np.array([[0.1, 0.9], [0.3, 0.7]], dtype=np.float32), (MANY, 2))
    by_columns, one_by_one = both(classifier((0, 1), ("a", "b")), Answers(np.zeros(MANY, dtype=int), scores))
    assert same((by_columns, one_by_one))
    assert b'"probability":0.1,"probabilities":{"a":0.1,"b":0.9}' in by_columns


def test_several_values_a_row_are_written_one_by_one() -> None:
    assert same(both(regressor(2), Answers(np.ones((FEW, 2)), None)))


def test_every_row_has_an_identifier_of_its_own() -> None:
    body, _ = both(regressor(), Answers(np.arange(5000.0), None))
    answers = json.loads(body)["predictions"]
    assert len({UUID(answer["prediction_id"]) for answer in answers}) == 5000
    assert [answer["prediction"] for answer in answers] == list(range(5000))


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_another_number_of_probabilities_than_of_labels_is_no_answer(rows: int) -> None:
    writer = Writer(classifier((0, 1), ("a", "b")), "model", "1")
    answers = plain(Answers(np.zeros(rows, dtype=int), np.ones((rows, 3))))
    with pytest.raises(ValueError, match="expected 2 probabilities a row"):
        writer.many((answers, 0), rows, 0.25)


@pytest.mark.parametrize("scored", [False, True])
def test_the_answers_of_several_calls_are_those_of_one(scored: bool) -> None:
    values, scores = np.arange(2 * MANY + 1), np.random.default_rng(0).random((2 * MANY + 1, 2))
    parts = [
        plain(Answers(values[start : start + MANY], scores[start : start + MANY] if scored else None))
        for start in range(0, len(values), MANY)  # the last has one row
    ]
    whole, one = joined(parts), plain(Answers(values, scores if scored else None))
    assert whole.predictions == one.predictions
    np.testing.assert_array_equal(whole.probabilities, one.probabilities)
