"""A server that answers something else than the estimator is found out."""

import orjson
import pytest
from benchmarks.serving import answers
from benchmarks.serving.contenders import ALL, PEERS, modelport
from benchmarks.serving.errors import WrongAnswer

EXPECTED = [[0.25, 0.75], [0.9, 0.1]]
RIGHT = {
    "modelport-onnx": {
        "predictions": [{"probabilities": {"malignant": first, "benign": second}} for first, second in EXPECTED]
    },
    "mlserver": {"outputs": [{"shape": [2, 2], "data": [0.25, 0.75, 0.9, 0.1]}]},
    "kserve": {"predictions": EXPECTED},
    "litserve": {"probabilities": EXPECTED},
    "bentoml": EXPECTED,
}
CHECKED = {contender.name: contender for contender in (modelport.ONNX, *PEERS)}


def compare(name, document, expected=EXPECTED):
    answers.compare(name, CHECKED[name].read, orjson.dumps(document), expected)


@pytest.mark.parametrize("name", CHECKED)
def test_the_right_answer_of_every_server_is_accepted(name):
    compare(name, RIGHT[name])


@pytest.mark.parametrize("name", CHECKED)
def test_another_rows_answer_is_refused(name):
    with pytest.raises(WrongAnswer, match="where the estimator says"):
        compare(name, RIGHT[name], EXPECTED[::-1])


@pytest.mark.parametrize("name", CHECKED)
def test_a_missing_row_is_refused(name):
    with pytest.raises(WrongAnswer, match="where the estimator says"):
        compare(name, RIGHT[name], [*EXPECTED, [0.5, 0.5]])


@pytest.mark.parametrize("name", CHECKED)
def test_what_has_another_form_is_refused(name):
    with pytest.raises(WrongAnswer, match="cannot be read"):
        compare(name, {"error": "no"})


def test_a_difference_that_packing_allows_is_accepted():
    compare("kserve", {"predictions": [[0.250004, 0.749996], [0.9, 0.1]]})


def test_a_single_answer_of_ours_is_read_as_one_row():
    one = {"probabilities": {"malignant": 0.25, "benign": 0.75}}
    answers.compare("modelport", modelport.read, orjson.dumps(one), EXPECTED[:1])


@pytest.mark.parametrize("contender", ALL, ids=lambda contender: contender.name)
@pytest.mark.parametrize("count", [1, 8])
def test_every_body_is_one_line_of_json_with_every_number(contender, count):
    rows = [[float(row * 100 + column) + 0.5 for column in range(3)] for row in range(count)]
    body = contender.ask("cancer", rows).body
    assert b"\n" not in body
    assert all(str(value).encode() in body for row in rows for value in row)
    assert orjson.loads(body)
