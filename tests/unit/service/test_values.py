"""Numbers go in and out exactly, missing values by dtype, and however a row is written it means the same."""

import gzip
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from model_artifact.signature import Feature, Output, Signature

JSON = {"content-type": "application/json"}


class Echo(BaseEstimator):
    """Answers its first column, as the type it is told to."""

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype

    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.asarray(X)[:, 0].astype(self.dtype)


class Kinds(BaseEstimator):
    """Answers what it was given as pandas sees it: the dtypes, and which values are missing."""

    def predict(self, X: pd.DataFrame) -> Any:  # noqa: N803
        seen = [" ".join(f"{name}:{X[name].dtype}" for name in X.columns)] * len(X)
        missing = X.isna().to_numpy()
        return np.array(
            [f"{text} {''.join(str(int(flag)) for flag in row)}" for text, row in zip(seen, missing, strict=True)]
        )


@pytest.fixture
def echo(write_bundle: Any, serve: Any) -> Any:
    def start(given: str = "float64", answered: str = "float64") -> Any:
        inputs = (Feature("x", given),)  # type: ignore[arg-type]
        signature = Signature("regression", "matrix", inputs, (Output("prediction", answered),))  # type: ignore[arg-type]
        return serve(write_bundle({"joblib": Echo(answered)}, signature=signature), allow_pickle=True)

    return start


def answered(client: Any, number: str) -> str:
    """What the answer holds in the place of the prediction, as it is written."""
    response = client.post("/predict", content=f'{{"x": {number}}}', headers=JSON)
    assert response.status_code == 200, response.text
    return str(response.text.partition('"prediction":')[2].partition(",")[0])


def test_every_float64_comes_back_as_it_went_in(echo: Any) -> None:
    client = echo()

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def check(number: float) -> None:
        back = float(answered(client, repr(number)))
        assert (back, math.copysign(1, back)) == (number, math.copysign(1, number))

    check()


def test_a_float32_is_written_as_shortly_as_it_can_be(echo: Any) -> None:
    client = echo("float64", "float32")
    assert answered(client, "0.1") == "0.1"

    @given(st.floats(width=32, allow_nan=False, allow_infinity=False))
    def check(number: float) -> None:
        written = answered(client, repr(number))
        assert np.float32(written) == np.float32(number)
        assert len(written) <= max(len(repr(number)), 4)

    check()


def test_numbers_are_cast_to_the_models_dtype_without_complaint(echo: Any) -> None:
    client = echo("float32", "float32")
    assert answered(client, "0.96") == "0.96"
    assert np.float32(answered(client, str(2**60 + 1))) == np.float32(2**60)


@pytest.mark.parametrize(("number", "told"), [("1e39", "number"), ("-1e39", "number")])
def test_what_does_not_fit_the_dtype_is_refused(echo: Any, number: str, told: str) -> None:
    response = echo("float32").post("/predict", content=f'{{"x": {number}}}', headers=JSON)
    assert response.status_code == 422
    assert told in response.json()["detail"][0]["expected"]


@pytest.mark.parametrize(
    ("dtype", "kind"), [("int64", "Int64"), ("float64", "float64"), ("bool", "boolean"), ("string", "object")]
)
def test_null_is_the_missing_value_of_its_dtype(write_bundle: Any, serve: Any, dtype: Any, kind: str) -> None:
    inputs = (Feature("a", dtype, nullable=True), Feature("b", "int32"))
    signature = Signature("other", "frame", inputs, (Output("prediction", "string"),))
    client = serve(write_bundle({"joblib": Kinds()}, signature=signature), allow_pickle=True)
    good = {"int64": 3, "float64": 1.5, "bool": True, "string": "x"}[dtype]
    body = {"requests": [{"a": None, "b": 1}, {"a": good, "b": 2}]}
    missing, present = [row["prediction"] for row in client.post("/predict/batch", json=body).json()["predictions"]]
    assert missing == f"a:{kind} b:int32 10"
    assert present == f"a:{kind} b:int32 00"
    refused = client.post("/predict", json={"a": good, "b": None})
    assert (refused.status_code, refused.json()["detail"][0]["field"]) == (422, "b")


def test_a_row_means_the_same_however_it_is_written(client: Any) -> None:
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")

    @given(st.lists(st.floats(0, 20), min_size=4, max_size=4), st.permutations(names))
    def check(row: list[float], order: list[str]) -> None:
        named = dict(zip(names, row, strict=True))
        shuffled = {name: named[name] for name in order}
        bodies = [{"features": row}, {"features": named}, shuffled]
        forms: list[tuple[str, bytes]] = [("/predict", json.dumps(body).encode()) for body in bodies]
        forms += [("/predict/batch", json.dumps({"requests": [body]}).encode()) for body in [*bodies, row]]
        found = set()
        for path, data in forms:
            for content, headers in ((data, JSON), (gzip.compress(data), JSON | {"content-encoding": "gzip"})):
                answer = client.post(path, content=content, headers=headers).json()
                answer = answer.get("predictions", [answer])[0]
                found.add((answer["prediction"], tuple(answer["probabilities"].values())))
        assert len(found) == 1

    check()


def test_infinities_and_not_a_number_are_null(write_bundle: Any, serve: Any) -> None:
    inputs = (Feature("x", "float64"),)
    signature = Signature("regression", "matrix", inputs, (Output("prediction", "float64"),))
    client = serve(write_bundle({"joblib": _Overflowing()}, signature=signature), allow_pickle=True)
    for number in (1, -1, 0):
        text = client.post("/predict", json={"x": number}).text
        assert json.loads(text, parse_constant=pytest.fail)["prediction"] is None


class _Overflowing(BaseEstimator):
    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.where(np.asarray(X)[:, 0] == 0, np.nan, np.copysign(np.inf, np.asarray(X)[:, 0]))
