"""The command line and the pins."""

import re

import pytest
from benchmarks.serving import __main__ as command
from benchmarks.serving import contenders, environments
from benchmarks.serving.timings import TIMINGS


def test_quick_is_ours_and_the_limit_with_one_model():
    given = command.parse(["--quick"])
    assert given.only == ["limit", "modelport-onnx", "modelport-sklearn"]
    assert (given.models, given.parts, given.rounds) == (["logistic"], ["table"], 3)


def test_everything_is_everyone_in_five_rounds():
    given = command.parse([])
    assert given.only == list(contenders.BY_NAME)
    assert given.parts == ["table", "curves", *TIMINGS]
    assert given.rounds == 5


def test_what_is_said_wins_over_quick():
    assert command.parse(["--quick", "--rounds", "1", "--only", "kserve"]).only == ["kserve"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "serving"),
        (["--parts", "curves", "table"], "serving"),
        (["--parts", "table"], "part"),
        (["--only", "limit"], "part"),
        (["--models", "forest"], "part"),
        (["--quick"], "quick"),
    ],
)
def test_only_a_whole_run_replaces_the_published_results(arguments, name):
    assert command.results_name(command.parse(arguments)) == name


def test_an_unknown_server_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.parse(["--only", "nginx"])
    assert "modelport-onnx" in capsys.readouterr().err


def test_every_environment_is_pinned_exactly():
    assert {one.environment for one in contenders.ALL} - {None} == set(environments.PINNED)
    pins = [package for packages in environments.PINNED.values() for package in packages]
    assert all(re.fullmatch(r"[\w\-\[\]]+==[\d.]+", package) for package in pins)
