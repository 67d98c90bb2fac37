"""Hooks travel in the bundle, and golden rows go through them when packing and when serving."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sklearn import datasets
from sklearn.linear_model import LogisticRegression

from model_service.app import create_app
from model_service.errors import LoadFailed
from model_service.settings import Settings
from modelport import pack
from modelport.cli import main
from modelport.packing import PackRefused

IRIS = datasets.load_iris(as_frame=True)
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
FEATURES = IRIS.data.set_axis(NAMES, axis=1)
MODEL = LogisticRegression(max_iter=500).fit(FEATURES, IRIS.target)
HOOKS = """
EXAMPLES = [{"sepal": [5.1, 3.5], "petal": [1.4, 0.2]}, {"sepal": [6.7, 3.0], "petal": [5.2, 2.3]}]

def preprocess(rows):
    parts = [(part, row[part]) for row in rows for part in ("sepal", "petal")]
    if any(min(value) <= 0 for _, value in parts):
        raise ValueError("lengths are larger than 0")
    sides = [(part, at, side) for part in ("sepal", "petal") for at, side in enumerate(("length", "width"))]
    return [{f"{part}_{side}": row[part][at] for part, at, side in sides} for row in rows]

def postprocess(answers):
    for answer in answers:
        answer["sure"] = answer["probability"] > 0.9
    return answers
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("hooks")
    (folder / "hooks.py").write_text(HOOKS)
    return pack(
        MODEL, FEATURES, name="iris", destination=folder / "models", formats=["onnx"], hooks=folder / "hooks.py"
    )


def served(packed: Any, **settings: Any) -> TestClient:
    return TestClient(create_app(Settings(model_root=packed.path.parents[1], **settings)))


def test_hooks_change_requests_and_answers(packed: Any, golden_of: Any) -> None:
    assert "hooks.py" in str(packed)
    golden = golden_of(packed)
    assert [list(row) for row in golden.inputs] == [["sepal", "petal"]] * 2
    assert [answer.prediction for answer in golden.outputs] == [0, 2]
    with served(packed, model_digest=packed.digest) as client:
        one = client.post("/predict", json=golden.inputs[0]).json()
        assert (one["prediction"], one["sure"]) == (0, True)
        many = client.post("/predict/batch", json={"requests": [*golden.inputs, {"features": golden.inputs[1]}]}).json()
        assert [row["prediction"] for row in many["predictions"]] == [0, 2, 2]
        assert len({row["prediction_id"] for row in many["predictions"]}) == 3
        refused = client.post("/predict", json={"sepal": [1, 0], "petal": [1, 1]})
        assert (refused.status_code, refused.json()["error"]) == (422, "invalid_input")
        assert refused.json()["message"].endswith("lengths are larger than 0")
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        assert schemas["PredictRequest"]["examples"][0] == golden.inputs[0]
        assert schemas["Prediction"]["additionalProperties"] is True
        failed = client.post("/predict", json={"sepal": [1, 1]})
        assert (failed.status_code, failed.json()["error"]) == (500, "prediction_failed")


def test_hooks_run_only_where_code_of_the_bundle_may(packed: Any) -> None:
    with pytest.raises(LoadFailed, match=r"hooks\.py is code"), served(packed):
        pass
    with served(packed, allow_pickle=True) as client:
        assert client.get("/health").json()["status"] == "ok"


def test_rows_of_the_sample_are_golden_rows_where_hooks_take_them(tmp_path: Path, golden_of: Any) -> None:
    (tmp_path / "hooks.py").write_text("def preprocess(rows): return [dict(sorted(row.items())) for row in rows]")
    packed = pack(
        MODEL, FEATURES, name="iris", destination=tmp_path / "m", formats=["joblib"], hooks=tmp_path / "hooks.py"
    )
    plain = pack(MODEL, FEATURES, name="plain", destination=tmp_path / "m", formats=["joblib"])
    assert golden_of(packed).inputs == golden_of(plain).inputs


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def preprocess(rows): return [row['sepal'] for row in rows]", r"preprocess failed.*EXAMPLES = "),
        ("def postprocess(answers): return []", "postprocess returned another number of rows"),
        ("def preprocess(rows)", "SyntaxError"),
    ],
)
def test_hooks_that_do_not_work_are_not_packed(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "hooks.py").write_text(text)
    with pytest.raises(PackRefused, match=told):
        pack(MODEL, FEATURES, name="m", destination=tmp_path / "m", formats=["joblib"], hooks=tmp_path / "hooks.py")
    assert not (tmp_path / "m" / "m").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"nothing\.py cannot be read"):
        pack(MODEL, FEATURES, name="m", destination=tmp_path, formats=["joblib"], hooks=tmp_path / "nothing.py")


def test_inspect_tells_of_hooks_and_runs_them_only_when_asked(packed: Any) -> None:
    closed = CliRunner().invoke(main, ["inspect", str(packed.path)]).output
    assert "hooks.py" in closed
    assert "hooks run with it; --allow-pickle" in closed
    opened = CliRunner().invoke(main, ["inspect", str(packed.path), "--allow-pickle"]).output
    assert "not loaded" not in opened
