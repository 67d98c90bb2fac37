import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from model_artifact.samples import Answer
from modelport.packing import PackRefused
from modelport.packing.answers import Answers, ask, compare
from modelport.packing.sample import read_sample

FITTED = LogisticRegression().fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])


def test_the_estimator_is_asked_for_labels_and_probabilities() -> None:
    answers = ask(FITTED, read_sample(FITTED, [[0.0], [2.0]], {}))
    assert answers.predictions.tolist() == FITTED.predict([[0.0], [2.0]]).tolist()
    assert answers.plain()[1] == Answer("b", tuple(FITTED.predict_proba([[2.0]])[0].tolist()))


def test_what_the_estimator_raises_becomes_a_sentence() -> None:
    with pytest.raises(PackRefused, match=r"LogisticRegression cannot predict the sample .ValueError.*preprocessing"):
        ask(FITTED, read_sample(object(), [["text"]], {}))


def test_margin_is_the_lead_of_the_best_class() -> None:
    answers = Answers(np.array([0, 1]), np.array([[0.5, 0.3, 0.2], [0.1, 0.45, 0.45]]))
    assert answers.margin() == pytest.approx([0.2, 0.0])
    assert Answers(np.array([1.5]), None).margin() == [1.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_an_estimator_is_at_parity_with_itself(values: list[float]) -> None:
    answers = [Answer(value, (value, 1 - value)) for value in values]
    for numeric in (True, False):
        parity = compare(answers, answers, numeric=numeric)
        assert (parity.rows, parity.max_error, parity.agreement) == (len(values), 0.0, 1.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(1e-3, 10.0))
def test_a_shift_is_measured_relative_to_large_values_only(values: list[float], shift: float) -> None:
    shifted = [Answer(value + shift) for value in values]
    measured = compare([Answer(value) for value in values], shifted, numeric=True).max_error
    assert measured == pytest.approx(shift / max(1.0, min(map(abs, values))), rel=1e-5)


@pytest.mark.parametrize(
    ("expected", "got", "numeric", "error", "agreement"),
    [
        (Answer("a"), Answer("b"), False, 0.0, 0.0),
        (Answer(True), Answer(1), False, 0.0, 0.0),
        (Answer(1.0), Answer(1), False, 0.0, 1.0),
        (Answer((1, 0)), Answer([1, 0]), False, 0.0, 1.0),
        (Answer((1, 0)), Answer([1, 1]), False, 0.0, 0.0),
        (Answer((1.0, 2.0)), Answer([1.0]), True, math.inf, 1.0),
        (Answer(1.0), Answer(None), True, math.inf, 1.0),
        (Answer(None), Answer(None), True, 0.0, 1.0),
        (Answer("a", (0.5, 0.5)), Answer("a"), False, math.inf, 1.0),
        (Answer("a", (0.5, 0.5)), Answer("a", (0.5,)), False, math.inf, 1.0),
        (Answer("a", (0.5, 0.5)), Answer("a", (math.nan, 0.5)), False, math.inf, 1.0),
        (Answer("a", (0.5, 0.5)), Answer("a", (0.25, 0.75)), False, 0.25, 1.0),
    ],
)
def test_differences_are_found(expected: Answer, got: Answer, numeric: bool, error: float, agreement: float) -> None:
    parity = compare([expected], [got], numeric=numeric)
    assert (parity.max_error, parity.agreement) == (error, agreement)
