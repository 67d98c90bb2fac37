"""What is compared of two versions, and what cannot be."""

from math import nan
from typing import Any

import numpy as np
import pytest

from model_artifact.signature import Feature, Output, Signature
from model_service.batch import Answered
from model_service.comparison import Said

INPUTS = (Feature("x", "float64"),)
ALL = slice(0, None)


def classes(values: tuple[Any, ...] = (0, 1), labels: tuple[str, ...] = ("no", "yes")) -> Signature:
    return Signature("classification", "matrix", INPUTS, (Output("prediction", "int64"),), values, labels)


NUMBERS = Signature("regression", "matrix", INPUTS, (Output("prediction", "float64"),))


@pytest.mark.parametrize("kind", [list, np.array])
def test_probabilities_are_compared_by_their_largest_difference(kind: Any) -> None:
    ours = Said(classes(), Answered([9, 0, 1], kind([[9.0, 9.0], [0.9, 0.1], [0.4, 0.6]])), slice(1, 3))
    theirs = Said(classes(), Answered([0, 0], kind([[0.8, 0.2], [0.7, 0.3]])), ALL)
    assert ours.disagreements(theirs) == 1
    assert ours.differences(theirs) == pytest.approx([0.1, 0.3])


def test_classes_are_compared_by_their_labels_however_they_are_numbered() -> None:
    ours = Said(classes(), Answered([0, 1, 1], None), ALL)
    theirs = Said(classes((7, 8)), Answered([7, 8, 7], None), ALL)
    assert ours.disagreements(theirs) == 1
    assert ours.differences(theirs) == []  # the numbers of classes are no scores


def test_scores_of_other_classes_are_not_compared() -> None:
    ours = Said(classes(), Answered([0], [[0.9, 0.1]]), ALL)
    theirs = Said(classes(labels=("no", "perhaps")), Answered([0], [[0.9, 0.1]]), ALL)
    assert ours.differences(theirs) == Said(NUMBERS, Answered([0.0], None), ALL).differences(theirs) == []


def test_numbers_are_compared_and_what_is_none_is_left_out() -> None:
    ours, theirs = (Said(NUMBERS, Answered(values, None), ALL) for values in ([1.0, nan, 3.0], [1.5, 2.0, 3.0]))
    assert ours.disagreements(theirs) == 2
    assert ours.differences(theirs) == [0.5, 0.0]


def test_texts_and_several_values_a_row_agree_or_not() -> None:
    other = Signature("other", "matrix", INPUTS, (Output("prediction", "any"),))
    for mine, its in ((["a", "b"], ["a", "c"]), ([[1, 2], [3, 4]], [[1, 2], [3, 5]])):
        ours, theirs = Said(other, Answered(mine, None), ALL), Said(other, Answered(its, None), ALL)
        assert ours.disagreements(theirs) == 1
        assert ours.differences(theirs) == []
