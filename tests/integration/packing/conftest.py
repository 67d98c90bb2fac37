"""People of whom something is missing, a pipeline for them, and a look into a bundle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model_artifact.samples import Golden, parse_golden
from modelport.packing import Packed


@pytest.fixture(scope="session")
def golden_of() -> Callable[[Packed], Golden]:
    """Read the golden rows of a bundle."""
    return lambda packed: parse_golden((packed.path / "golden.json").read_bytes())


@pytest.fixture(scope="session")
def people() -> pd.DataFrame:
    """Numbers and texts, some of both missing."""
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "sex": random.choice(["female", "male"], 200),
            "age": np.where(random.random(200) < 0.2, np.nan, random.normal(40, 12, 200).round(1)),
            "siblings": random.integers(0, 4, 200),
            "port": np.where(random.random(200) < 0.1, None, random.choice(["C", "Q", "S"], 200)),
        }
    )


@pytest.fixture(scope="session")
def fit_people(people: pd.DataFrame) -> Callable[[Any], Any]:
    """Fit a pipeline that ends in the given model."""
    target = np.where((people["sex"] == "female") ^ (np.random.default_rng(2).random(200) < 0.1), "yes", "no")

    def fit(model: Any) -> Any:
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
        columns = ColumnTransformer([("n", numbers, ["age", "siblings"]), ("t", texts, ["sex", "port"])])
        return make_pipeline(columns, model).fit(people, target)

    return fit
