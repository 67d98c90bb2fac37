"""What of the sample is in a bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelport.packing import Packed, pack


def canaries() -> tuple[pd.DataFrame, list[int]]:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "number": random.uniform(1000, 9999, 60).round(3),
            "note": [f"canary{random.integers(10**9)} sings" for _ in range(60)],
        }
    )
    return table, [0, 1] * 30


def files_beside_the_model(packed: Packed) -> str:
    others = [path for path in packed.path.iterdir() if not path.name.startswith("model.")]
    return "".join(path.read_text() for path in others)


def canary_model() -> Any:
    columns = ColumnTransformer([("n", StandardScaler(), ["number"]), ("t", TfidfVectorizer(), "note")])
    table, target = canaries()
    return make_pipeline(columns, LogisticRegression()).fit(table, target)


def test_no_training_row_leaves_the_training_side(tmp_path: Path) -> None:
    table, _ = canaries()
    text = files_beside_the_model(pack(canary_model(), table, name="m", destination=tmp_path, formats=["onnx"]))
    assert not [value for value in [*table["note"], *table["number"].astype(str)] if value in text]
    assert not [word for note in table["note"] for word in note.split() if word.startswith("canary") and word in text]


def test_training_rows_are_kept_on_request(tmp_path: Path, golden_of: Any) -> None:
    table, _ = canaries()
    packed = pack(canary_model(), table, name="m", destination=tmp_path, formats=["onnx"], keep_training_rows=True)
    assert list(golden_of(packed).inputs[0]) in table.to_numpy().tolist()
