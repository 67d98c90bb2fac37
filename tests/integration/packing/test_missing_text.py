"""An empty text is a value and null is not: a graph, which knows text alone, tells them apart all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model_service import runtimes
from modelport.packing import pack

ENCODER = OneHotEncoder(handle_unknown="ignore")
PLANS = ["monthly", "yearly", None, "yearly", None, "monthly"] * 10
PLANS_AND_EMPTY = ["monthly", "", None, "monthly", None, "yearly"] * 10
LEAVES = [0, 1, 1, 1, 1, 0] * 10


@pytest.mark.parametrize("plans", [PLANS, PLANS_AND_EMPTY], ids=["never empty", "sometimes empty"])
@pytest.mark.parametrize(
    "steps", [(ENCODER,), (SimpleImputer(strategy="most_frequent"), ENCODER)], ids=["encoded", "imputed"]
)
@pytest.mark.parametrize("others", [{}, {"age": np.arange(60.0)}], ids=["one tensor", "one tensor a column"])
def test_empty_and_missing_text_are_not_confused(
    tmp_path: Path, golden_of: Any, plans: list[Any], steps: Any, others: dict[str, Any]
) -> None:
    table = pd.DataFrame({"plan": plans} | others)
    columns = make_pipeline(*steps) if not others else _beside_numbers(make_pipeline(*steps))
    model = make_pipeline(columns, LogisticRegression()).fit(table, LEAVES)
    packed = pack(model, table, name="m", destination=tmp_path, formats=["onnx"])
    graph = runtimes.load("onnx", packed.path / "model.onnx", packed.manifest.signature, trusted=False)
    rows: list[list[Any]] = [[plan, *[30.0 for _ in others]] for plan in ("", None, "monthly", "unheard of")]
    scores = graph.predict(rows).probabilities
    assert scores is not None
    assert scores == pytest.approx(model.predict_proba(pd.DataFrame(rows, columns=table.columns)), abs=1e-6)
    assert "" in [row[0] for row in golden_of(packed).inputs]


def _beside_numbers(texts: Any) -> Any:
    return make_column_transformer((texts, ["plan"]), remainder="passthrough")
