"""Hooks of a bundle: trusted by policy, called with named rows, and their failures told apart."""

from typing import Any

import pytest
from support.bundles import IRIS_NAMES, Packed, onnx_bytes

from model_artifact.bundle import verify
from model_artifact.samples import Answer, Golden
from model_service import hooks, proving, runtimes
from model_service.errors import InvalidInput, LoadFailed, PredictionFailed, ServiceError
from model_service.schema import Schema

ROW = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(IRIS_NAMES, ROW, strict=True))
MILLIMETRES = """
def preprocess(rows):
    return [{name: value / 10 for name, value in row.items()} for row in rows]

def postprocess(answers):
    return [answer | {"advice": "water it"} for answer in answers]
"""
EMPTY = {"prediction": 0, "prediction_class": "setosa", "probability": None, "probabilities": None}


@pytest.fixture
def load(write_bundle: Any, iris: Any) -> Any:
    """The hooks of a bundle whose file has the given text."""

    def run(text: str, *, trusted: bool = True) -> Any:
        packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, hooks=text)
        return hooks.load(verify(packed.directory), trusted)

    return run


def test_a_bundle_without_hooks_has_none(iris_bundle: Packed) -> None:
    assert hooks.load(verify(iris_bundle.directory), trusted=False) is None


@pytest.mark.parametrize("sent", [NAMED, {"features": NAMED}, {"features": ROW}, ROW])
def test_preprocess_gets_named_rows_however_they_were_sent(load: Any, sent: Any) -> None:
    found = load("def preprocess(rows): return [sorted(row.items()) for row in rows]")
    assert found.before([sent]) == [sorted(NAMED.items())]
    assert found.after([EMPTY]) == [EMPTY]


def test_postprocess_edits_answers_and_leaves_requests_alone(load: Any) -> None:
    found = load("def postprocess(answers): return [answer | {'advice': 1} for answer in answers]")
    assert found.before([{"features": ROW}]) == [{"features": ROW}]
    assert found.after([EMPTY]) == [EMPTY | {"advice": 1}]


@pytest.mark.parametrize("row", [[1.0], "text", 5, None])
def test_a_row_that_has_no_names_is_refused_with_its_number(load: Any, row: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        load(MILLIMETRES).before([NAMED, row])
    assert (refused.value.detail[0].row, refused.value.detail[0].expected) == (1, "an object of named features")


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("raise ValueError('no\\nsuch  day')", InvalidInput, "the model's preprocess refused the request: no such day"),
        ("raise ValueError('x' * 999)", InvalidInput, "..."),
        ("raise ValueError", InvalidInput, "it gave no reason"),
        ("raise KeyError('secret')", PredictionFailed, "preprocess failed; the cause is in the server's log"),
        ("return rows + rows", PredictionFailed, "another number of rows"),
        ("return None", PredictionFailed, "the cause is in the server's log"),
    ],
)
def test_failures_of_a_hook(load: Any, body: str, kind: type[ServiceError], told: str) -> None:
    with pytest.raises(kind) as raised:
        load(f"def preprocess(rows): {body}").before([NAMED])
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_answers_stay_objects(load: Any) -> None:
    with pytest.raises(PredictionFailed, match="other than objects"):
        load("def postprocess(answers): return [1 for _ in answers]").after([EMPTY])


def test_untrusted_hooks_do_not_run(load: Any, tmp_path: Any) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(LoadFailed, match=r"MODELPORT_MODEL_DIGEST.*MODELPORT_ALLOW_PICKLE"):
        load(f"import pathlib\npathlib.Path({str(witness)!r}).touch()", trusted=False)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", "defines no hook"),
        ("preprocess = 1", "preprocess is not a function"),
        ("def preprocess(rows)", "cannot be loaded: SyntaxError"),
        ("import no_such_package", "cannot be loaded: ModuleNotFoundError"),
        ("def preprocess(rows): pass\nEXAMPLES = 1", "cannot be loaded: TypeError"),
    ],
)
def test_a_file_that_is_no_hooks_is_refused_with_the_reason(load: Any, text: str, told: str) -> None:
    with pytest.raises(LoadFailed, match=told):
        load(text)


def test_dataclasses_work_in_hooks_and_nothing_is_written_beside_them(load: Any, tmp_path: Any) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Row:\n    a: int\n"
    found = load(f"{text}EXAMPLES = [{{'a': 1}}]\ndef preprocess(rows): return [Row(**row).a for row in rows]")
    assert found.before(list(found.examples)) == [1]
    assert not list(tmp_path.rglob("__pycache__"))


def replay(write_bundle: Any, iris: Any, rows: list[Any], text: str) -> None:
    answers = tuple(Answer(int(iris.predict([ROW])[0])) for _ in rows)
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, hooks=text, golden=Golden(tuple(rows), answers))
    bundle = verify(packed.directory)
    runtime = runtimes.load("onnx", bundle.path("model.onnx"), bundle.manifest.signature, trusted=False)
    proving.replay(bundle, runtime, Schema(runtime.signature), hooks.load(bundle, trusted=True))


def test_golden_rows_go_through_the_hooks(write_bundle: Any, iris: Any) -> None:
    replay(write_bundle, iris, [[value * 10 for value in ROW]], MILLIMETRES)


@pytest.mark.parametrize("broken", ["preprocess(rows): return 1 / 0", "postprocess(answers): return []"])
def test_hooks_that_cannot_answer_golden_rows_are_not_served(write_bundle: Any, iris: Any, broken: str) -> None:
    with pytest.raises(LoadFailed, match="cannot be answered"):
        replay(write_bundle, iris, [ROW], f"def {broken}")
