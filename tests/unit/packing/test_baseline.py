import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from model_artifact.samples import Baseline, parse_baseline
from model_artifact.strict import dumps
from modelport.packing.answers import ask
from modelport.packing.baseline import describe_column, describe_sample
from modelport.packing.describe import describe
from modelport.packing.features import FeaturesFile
from modelport.packing.sample import read_sample


def baseline_of(estimator: object, rows: object) -> Baseline:
    sample = read_sample(estimator, rows, {})
    answers = ask(estimator, sample)
    found = describe_sample(sample, describe(estimator, sample, answers, FeaturesFile()), answers)
    assert parse_baseline(dumps(found)) == found
    return found


def test_numbers_have_moments_and_a_histogram() -> None:
    found = describe_column(pd.Series([0.0, 1.0, 2.0, 3.0, np.nan], name="x"))
    assert (found.count, found.missing, found.mean) == (5, 1, 1.5)
    assert found.std == pytest.approx(np.std([0, 1, 2, 3]))
    assert found.histogram is not None
    assert sum(found.histogram.counts) == 4
    assert (found.histogram.edges[0], found.histogram.edges[-1]) == (0.0, 3.0)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1))
def test_every_value_is_counted_in_a_range_that_is_not_its_own(values: list[float]) -> None:
    histogram = describe_column(pd.Series(values, name="x")).histogram
    assert histogram is not None
    assert sum(histogram.counts) == len(values)
    assert histogram.edges[0] <= min(values)
    assert histogram.edges[-1] >= max(values)


def test_extremes_are_rounded() -> None:
    histogram = describe_column(pd.Series([1034.567, 2000.0, 9876.543], name="x")).histogram
    assert histogram is not None
    assert (histogram.edges[0], histogram.edges[-1]) == (1030.0, 9880.0)


def test_a_column_of_missing_values_alone_has_counts_alone() -> None:
    found = describe_column(pd.Series([np.nan, np.nan], name="x"))
    assert (found.count, found.missing, found.histogram) == (2, 2, None)


def test_categories_that_one_row_holds_are_not_written_down() -> None:
    found = describe_column(pd.Series(["a"] * 5 + ["b"] * 3 + ["Ms Unique"], name="x"))
    assert found.categories == {"a": 5, "b": 3, "other": 1}


def test_long_tails_of_categories_are_cut() -> None:
    found = describe_column(pd.Series([f"c{index:03}" for index in range(120)] * 2, name="x"))
    assert found.categories is not None
    assert len(found.categories) == 51
    assert found.categories["other"] == 140


def test_free_text_is_counted_and_not_written_down() -> None:
    found = describe_column(pd.Series(["my own words", "yours", None, "theirs"], name="x"))
    assert (found.count, found.missing, found.categories) == (4, 1, {})


def test_flags_read_as_json_has_them() -> None:
    assert describe_column(pd.Series([True, True, False, False], name="x")).categories == {"true": 2, "false": 2}


def test_predictions_of_a_classifier_are_counted_by_label_with_each_probability() -> None:
    rows = [[0.0], [1.0], [2.0]]
    found = baseline_of(DecisionTreeClassifier().fit(rows, ["no", "yes", "yes"]), rows).predictions
    assert found["prediction"].categories == {"no": 1, "yes": 2}
    assert set(found) == {"prediction", "probability:no", "probability:yes"}
    histogram = found["probability:yes"].histogram
    assert histogram is not None
    assert (histogram.counts[0], histogram.counts[-1]) == (1, 2)


def test_each_of_several_outputs_has_its_distribution() -> None:
    rows = [[0.0], [1.0], [2.0]]
    found = baseline_of(LinearRegression().fit(rows, [[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]]), rows).predictions
    assert found["prediction:0"].mean == pytest.approx(1.0)
    assert found["prediction:1"].mean == pytest.approx(11.0)
