from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model_artifact.samples import Golden
from modelport.packing import PackRefused
from modelport.packing.answers import ask
from modelport.packing.describe import describe
from modelport.packing.evidence import gather
from modelport.packing.features import read_features
from modelport.packing.proof import Evidence
from modelport.packing.sample import read_sample

PLANS = pd.DataFrame({"plan": ["a", "b", None, "b"] * 5, "port": ["x", "y", "x", "y"] * 5})
TARGET = [0, 1, 0, 1] * 5
LENIENT = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(PLANS, TARGET)
STRICT = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(PLANS, TARGET)


def gathered(
    model: Any, table: pd.DataFrame = PLANS, *, keep_training_rows: bool = False, **content: Any
) -> tuple[Golden, Evidence]:
    given = read_features(content)
    sample = read_sample(model, table, given.features)
    answers = ask(model, sample)
    return gather(
        model, sample, answers, describe(model, sample, answers, given), keep_training_rows=keep_training_rows
    )


def texts(rows: Any, position: int) -> set[Any]:
    return {row[position] for row in rows}


@pytest.mark.parametrize("keep_training_rows", [False, True])
def test_every_nullable_text_is_proven_empty_too(keep_training_rows: bool) -> None:
    golden, evidence = gathered(LENIENT, keep_training_rows=keep_training_rows)
    assert texts(golden.inputs, 0) >= {"", "a"}
    assert texts(evidence.rows, 0) == {"a", "b", None, ""}
    assert texts(evidence.rows, 1) == {"x", "y"}


def test_the_answers_of_all_rows_are_the_estimator_s() -> None:
    _, evidence = gathered(LENIENT)
    rows = pd.DataFrame(evidence.rows, columns=PLANS.columns)
    assert [answer.prediction for answer in evidence.answers] == LENIENT.predict(rows).tolist()


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (STRICT, {}),
        (LENIENT, {"features": {"plan": {"categories": ["a", "b"]}}}),
        (LENIENT, {"rules": [{"expr": "plan != ''", "message": "a plan"}]}),
        (LENIENT, {"features": {"plan": {"nullable": False}}}),
    ],
    ids=["the estimator", "categories", "a rule", "not nullable"],
)
def test_an_empty_text_that_is_refused_proves_nothing(model: Any, content: dict[str, Any]) -> None:
    golden, evidence = gathered(model, **content)
    assert "" not in texts(evidence.rows, 0) | texts(golden.inputs, 0)


def test_many_nullable_texts_leave_room_for_other_golden_rows() -> None:
    table = pd.DataFrame({f"t{index}": ["a", "b", None, "b"] * 5 for index in range(12)})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(table, TARGET)
    golden, evidence = gathered(model, table)
    assert 4 <= sum("" not in row for row in golden.inputs) < len(golden.inputs) == 8
    assert all("" in texts(evidence.rows, position) for position in range(12))


class Undecided(ClassifierMixin, BaseEstimator):
    """Gives a label at random, as far as another processor is concerned, where the plan is empty."""

    classes_ = np.array([0, 1])
    feature_names_in_ = np.array(PLANS.columns)

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows), dtype=int)

    def predict_proba(self, rows: Any) -> Any:
        return np.where(rows[["plan"]] == "", [0.5, 0.5], [0.9, 0.1])


def test_close_calls_on_empty_texts_prove_nothing() -> None:
    _, evidence = gathered(Undecided())
    assert "" not in texts(evidence.rows, 0)


class Particular(Undecided):
    """Takes the rows of its sample alone."""

    def predict(self, rows: Any) -> Any:
        if not rows.equals(PLANS):
            raise ValueError("never seen")
        return super().predict(rows)


def test_an_estimator_that_refuses_every_drawn_row_is_refused_with_the_way_out() -> None:
    with pytest.raises(PackRefused, match=r"never seen.*; if it only accepts rows like the sample's own, use keep_t"):
        gathered(Particular())


def test_rows_that_break_what_is_declared_prove_nothing() -> None:
    _, evidence = gathered(LENIENT, features={"plan": {"nullable": False}})
    assert len(evidence.rows) == 15 + 8
