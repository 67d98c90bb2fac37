import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from modelport.packing import PackRefused
from modelport.packing.features import FeatureSpec
from modelport.packing.sample import Sample, read_sample

TABLE = pd.DataFrame({"age": [31, 42, 53], "income": [1.5, 2.5, 4.0], "target": [1.0, 2.0, 3.5]})
NAMED = LinearRegression().fit(TABLE[["income", "age"]], TABLE["target"])
UNNAMED = LinearRegression().fit(TABLE[["income", "age"]].to_numpy(), TABLE["target"])
TEXTS = make_pipeline(CountVectorizer(), MultinomialNB()).fit(["good day", "bad day"], [1, 0])


def columns(sample: Sample) -> list[str]:
    return list(sample.table.columns)


def test_a_frame_is_reordered_as_the_estimator_was_fitted_and_other_columns_are_left_out() -> None:
    sample = read_sample(NAMED, TABLE, {})
    assert (sample.layout, columns(sample)) == ("frame", ["income", "age"])
    assert sample.rows() == [[1.5, 31], [2.5, 42], [4.0, 53]]


def test_an_array_takes_the_names_the_estimator_was_fitted_with() -> None:
    sample = read_sample(NAMED, np.array([[1.5, 31.0]]), {})
    assert (sample.layout, columns(sample)) == ("frame", ["income", "age"])


def test_without_names_columns_are_numbered() -> None:
    sample = read_sample(UNNAMED, [[1.5, 31.0], [2.5, 42.0]], {})
    assert (sample.layout, columns(sample)) == ("matrix", ["x0", "x1"])
    assert np.array_equal(sample.native(), [[1.5, 31.0], [2.5, 42.0]])


def test_a_frame_names_the_features_of_an_estimator_that_was_fitted_without() -> None:
    assert columns(read_sample(UNNAMED, TABLE[["income", "age"]], {})) == ["income", "age"]
    assert columns(read_sample(UNNAMED, pd.DataFrame([[1.0, 2.0]]), {})) == ["x0", "x1"]


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        (["good", "bad"], "text"),
        (pd.Series(["good", "bad"]), "text"),
        (pd.Series(["good", "bad"], name="review"), "review"),
        (pd.DataFrame({"review": ["good", "bad"]}), "review"),
    ],
)
def test_texts_are_a_vector(sample: object, name: str) -> None:
    read = read_sample(TEXTS, sample, {})
    assert (read.layout, columns(read), read.native()) == ("vector", [name], ["good", "bad"])


def test_a_text_column_picked_by_name_is_a_frame() -> None:
    table = pd.DataFrame({"review": ["good day", "bad day"]})
    picked = ColumnTransformer([("words", CountVectorizer(), "review")])
    assert read_sample(make_pipeline(picked, MultinomialNB()).fit(table, [1, 0]), table, {}).layout == "frame"


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (TABLE[["age"]], "lacks column 'income'; the estimator was fitted with income, age"),
        (TABLE[["income", "age"]].head(0), "no rows"),
        (np.zeros((2, 3)), "has 3 columns and the estimator was fitted with 2"),
        (np.zeros((2, 2, 2)), "has 3 dimensions"),
        (TABLE.assign(age=pd.to_datetime("2024-01-01")), "column 'age' has dtype datetime64.*turn dates into numbers"),
        (TABLE.assign(age=pd.to_timedelta(1, "h")), "turn durations into"),
        (TABLE.assign(age=1j), "two columns"),
        (TABLE.assign(age=np.float16(1)), "astype"),
        (TABLE.assign(age=pd.Series([1, "two", None], dtype=object)), "holds objects"),
        (TABLE.assign(age=np.inf), "holds infinite values"),
    ],
)
def test_what_cannot_be_a_sample_is_refused_with_what_to_do(sample: object, sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        read_sample(NAMED, sample, {})


def test_a_frame_of_another_width_is_refused() -> None:
    with pytest.raises(PackRefused, match="leave out the others, such as the target"):
        read_sample(UNNAMED, TABLE, {})


def test_missing_values_are_null_whatever_pandas_calls_them() -> None:
    table = pd.DataFrame(
        {
            "float": [1.0, np.nan],
            "nullable": pd.array([3, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "text": ["a", None],
            "object": pd.Series(["b", np.nan], dtype=object),
            "category": pd.Categorical(["c", None]),
        }
    )
    sample = read_sample(object(), table, {})
    assert sample.rows() == [[1.0, 3, True, "a", "b", "c"], [None] * 6]
    rebuilt = sample.build(sample.rows())
    pd.testing.assert_frame_equal(rebuilt.table, sample.table)


def test_nullable_numbers_reach_an_unnamed_estimator_as_floats() -> None:
    table = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1.0, 2.0]})
    assert read_sample(UNNAMED, table, {}).native().dtype == np.float64


def test_declared_dtypes_and_text_categories_are_applied() -> None:
    table = pd.DataFrame({"size": ["S", "M"], "code": [1.0, 2.0], "zip": [123, 456]})
    specs = {
        "size": FeatureSpec(categories=("S", "M", "L")),
        "code": FeatureSpec(dtype="int64"),
        "zip": FeatureSpec(dtype="string"),
    }
    read = read_sample(object(), table, specs).table
    assert list(read["size"].cat.categories) == ["S", "M", "L"]
    assert read["code"].dtype == np.int64
    assert read["zip"].tolist() == ["123", "456"]


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        ({"height": FeatureSpec()}, "'height' is not a feature of the model; it has size"),
        ({"size": FeatureSpec(categories=("S",))}, "holds 'M', which is not among its declared categories"),
        ({"size": FeatureSpec(dtype="int64")}, "column 'size' cannot become int64"),
    ],
)
def test_declarations_that_do_not_fit_are_refused(specs: dict[str, FeatureSpec], sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        read_sample(object(), pd.DataFrame({"size": ["S", "M"]}), specs)
