import pytest

from model_artifact.errors import ManifestInvalid
from model_artifact.samples import (
    Answer,
    Baseline,
    Distribution,
    Golden,
    Histogram,
    parse_baseline,
    parse_golden,
)
from model_artifact.strict import dumps

GOLDEN = Golden(([1.5, None, "a"], [0.1, True, "b"]), (Answer("yes", (0.25, 0.75)), Answer(3)), tolerance=1e-12)
BASELINE = Baseline(
    {
        "age": Distribution(3, 1, mean=0.1, std=2.0, histogram=Histogram((0.0, 1.0, 2.5), (1, 2))),
        "plan": Distribution(4, categories={"gold": 3, "": 1}),
    },
    {"prediction": Distribution(4, categories={"yes": 4})},
)


def test_golden_and_baseline_survive_being_written() -> None:
    assert parse_golden(dumps(GOLDEN)) == GOLDEN
    assert parse_baseline(dumps(BASELINE)) == BASELINE


def test_every_golden_input_needs_an_answer() -> None:
    with pytest.raises(ManifestInvalid, match=r"golden\.json: 1 inputs but 0 outputs"):
        parse_golden(b'{"inputs": [[1]], "outputs": []}')


def test_a_histogram_has_one_edge_more_than_counts() -> None:
    with pytest.raises(ManifestInvalid, match=r"baseline\.json\.features\.age\.histogram: 2 counts need one edge more"):
        parse_baseline(b'{"features": {"age": {"count": 1, "histogram": {"edges": [0, 1], "counts": [1, 2]}}}}')


def test_what_is_not_json_is_refused_when_written() -> None:
    with pytest.raises(ManifestInvalid, match="cannot be written as JSON"):
        dumps(Golden(([float("nan")],), (Answer(1),)))
