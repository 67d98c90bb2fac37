"""A pipeline of mixed columns, packed and served without a line of user code, answers as the estimator does."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.linear_model import LogisticRegression

from model_service.app import create_app
from model_service.settings import Settings
from modelport import pack

ROWS = 60


@pytest.mark.parametrize("kind", ["onnx", "joblib"])
def test_texts_numbers_and_missing_values_are_answered_row_by_row(
    tmp_path: Any, people: Any, fit_people: Any, kind: str, capsys: Any
) -> None:
    model = fit_people(LogisticRegression())
    packed = pack(model, people, name="people", destination=tmp_path, formats=[kind])
    rows = [
        {name: None if value != value or value is None else value for name, value in row.items()}  # noqa: PLR0124
        for row in people.head(ROWS).to_dict("records")
    ]
    assert any(None in row.values() for row in rows)
    with TestClient(create_app(Settings(model_root=tmp_path, model_digest=packed.digest))) as client:
        forms = [
            rows,
            [dict(reversed(row.items())) for row in rows],
            [{"features": list(row.values())} for row in rows],
        ]
        for form in forms:
            answers = client.post("/predict/batch", json={"requests": form}).json()["predictions"]
            assert [answer["prediction"] for answer in answers] == model.predict(people.head(ROWS)).tolist()
            scores = np.array([list(answer["probabilities"].values()) for answer in answers])
            np.testing.assert_allclose(scores, model.predict_proba(people.head(ROWS)), atol=1e-5)
        unknown = client.post("/predict", json=rows[0] | {"shoe": 1})
        missing = client.post("/predict", json={name: value for name, value in rows[0].items() if name != "siblings"})
    assert [item["field"] for item in unknown.json()["detail"]] == ["shoe"]
    assert [item["field"] for item in missing.json()["detail"]] == ["siblings"]
    assert "feature names" not in capsys.readouterr().err
