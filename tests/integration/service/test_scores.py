"""Scores of a real server: counted over all of its workers, and seen to shift."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelport import Client, pack

LABELS = ("cancer", "1")


@pytest.fixture(scope="module")
def data() -> Any:
    return load_breast_cancer(as_frame=True)


@pytest.fixture(scope="module")
def root(data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(data.data, data.target)
    pack(model, data.data, name="cancer", version="1", destination=root, labels={0: "malignant", 1: "benign"})
    return root


def test_scores_of_all_workers_are_one_and_a_shift_shows(root: Path, data: Any, serve: Any) -> None:
    rows, benign = data.data, data.data[data.target == 1]
    with serve(root, WORKERS="3") as service:
        url = f"http://127.0.0.1:{service.port}"

        def send(table: Any) -> dict[Any, float]:
            for start in range(0, len(table), 50):
                with Client(url) as client:  # over a connection of its own, so that every worker gets some
                    client.predict_batch(table.iloc[start : start + 50])
            found: dict[Any, float] = service.metrics()
            return found

        assert ("model_score_shift", LABELS) not in send(rows.iloc[:100])
        whole = send(rows.iloc[100:])
        assert whole["model_prediction_score_count", LABELS] == len(rows)
        counted = [whole["model_predictions_total", (*LABELS, label)] for label in ("malignant", "benign")]
        assert sum(counted) == len(rows)
        assert np.allclose(counted, np.bincount(data.target), atol=20)
        assert whole["model_score_shift", LABELS] == pytest.approx(0, abs=0.001)  # the sample itself
        shifted = send(pd.concat([benign] * 2))
        assert shifted["model_prediction_score_count", LABELS] == len(rows) + 2 * len(benign)
        assert shifted["model_score_shift", LABELS] > 0.1
