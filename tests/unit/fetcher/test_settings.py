"""Arguments and environment in, jobs out; whatever makes no sense is a sentence."""

from pathlib import Path

import pytest

from model_fetcher.destinations import Folder, ModelRoot
from model_fetcher.errors import Usage
from model_fetcher.settings import OPTIONS, Settings, read_settings

PIN = "sha256:" + "ab" * 32


def one_job(*argv: str, **environ: str):
    _, jobs = read_settings(argv, {f"MODELPORT_FETCH_{name}": value for name, value in environ.items()})
    (job,) = jobs
    return job


def test_every_setting_has_an_option():
    assert set(OPTIONS) == set(Settings.__dataclass_fields__)


def test_uri_alone_is_published_below_the_default_root():
    job = one_job("gs://b/churn")
    assert job.wanted.uri == "gs://b/churn"
    assert job.destination == ModelRoot(Path("/mnt/models"), replace=False)


def test_environment_alone_states_what_is_wanted_and_so_replaces():
    job = one_job(URI="gs://b/churn", ROOT="/models", DIGEST="AB" * 32, VERSION="3")
    assert job.destination == ModelRoot(Path("/models"), replace=True)
    assert (job.wanted.digest, job.wanted.version) == (PIN, "3")


def test_flags_win_over_the_environment_wherever_they_stand():
    job = one_job("--root", "/a", "x", "--name", "n", "--force", ROOT="/b", NAME="m", URI="y")
    assert job.destination == ModelRoot(Path("/a"), replace=True)
    assert (job.wanted.uri, job.wanted.name) == ("x", "n")


def test_pairs_fill_their_folders():
    settings, jobs = read_settings(["a", "/x", "b", "/y"], {"MODELPORT_FETCH_RETRY_BUDGET": "7"})
    assert [(job.wanted.uri, job.destination) for job in jobs] == [("a", Folder(Path("/x"))), ("b", Folder(Path("/y")))]
    assert settings.retry_budget == 7


def test_empty_variables_count_as_absent():
    assert one_job("x", DIGEST="", NAME="").wanted.digest is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("Yes", True), ("false", False), ("0", False)]
)
def test_switches_in_the_environment(text, value):
    settings, _ = read_settings(["x"], {"MODELPORT_FETCH_REQUIRE_PINNED": text})
    assert settings.require_pinned is value


def test_variables_of_others_are_no_business_of_ours():
    read_settings(["x"], {"MODELPORT_API_PORT": "x", "MODELPORT_FETCH_TERMINATION_MESSAGE_PATH": "/t"})


@pytest.mark.parametrize(
    ("argv", "environ", "sentence"),
    [
        ([], {}, "nothing to fetch"),
        (["a", "b", "c"], {}, "c has no DST"),
        (["a", "x", "b", "./x"], {}, "one DST is named twice"),
        (["a", "x", "b", "y", "--digest", PIN], {}, "can belong to one SRC only"),
        (["a", "x", "--root", "r"], {}, "--root takes one URI"),
        (["a", "--digest", PIN, "--sha256", "ab" * 32], {}, "not both"),
        (["a", "--digest", "sha256:123"], {}, "--digest: digest 'sha256:123' is not"),
        (["a", "--retry-budget", "-1"], {}, "--retry-budget: expected a number of seconds above 0, got '-1'"),
        (["a"], {"READ_TIMEOUT": "soon"}, "MODELPORT_FETCH_READ_TIMEOUT: expected a number of seconds"),
        (["a"], {"FORCE": "maybe"}, "MODELPORT_FETCH_FORCE: expected true or false, got 'maybe'"),
        (["a"], {"NAME": "  "}, "MODELPORT_FETCH_NAME: expected some text"),
        (["a"], {"DIGESTS": PIN}, "MODELPORT_FETCH_DIGESTS is not a setting; the nearest is MODELPORT_FETCH_DIGEST"),
        (["a"], {"root": "/x"}, "MODELPORT_FETCH_root is not a setting; the nearest is MODELPORT_FETCH_ROOT"),
        (["a", "--forse"], {}, "unrecognized arguments: --forse"),
        (["a", "--name"], {}, "--name: expected one argument"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(argv, environ, sentence):
    with pytest.raises(Usage) as caught:
        read_settings(argv, {f"MODELPORT_FETCH_{name}": value for name, value in environ.items()})
    assert sentence in str(caught.value)
