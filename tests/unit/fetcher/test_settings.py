"""Arguments and environment in, jobs out; whatever makes no sense is a sentence."""

from pathlib import Path

import pytest

from model_artifact.delivery import Usage
from model_fetcher.contents import Patterns
from model_fetcher.destinations import Folder, ModelRoot
from model_fetcher.settings import OPTIONS, Settings, read_listing, read_settings

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
        (["a", "--auth", "me"], {}, "--auth: expected one of auto, credentials, anonymous, got 'me'"),
        (["a", "--connections", "0"], {}, "--connections: expected a number from 1 to 256, got '0'"),
        (["a", "--connections", "many"], {}, "--connections: expected a number"),
        (["a", "--cache-size", "50 bananas"], {}, "--cache-size: expected bytes, such as 500000000, 500M or 50Gi"),
        (["a", "--allow-patterns", "[1]"], {}, "--allow-patterns: expected patterns with commas"),
        (["a", "--ignore-patterns", "[*"], {}, "--ignore-patterns: expected patterns with commas"),
        (["a", "--headers", "{}"], {}, "unrecognized arguments: --headers"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(argv, environ, sentence):
    with pytest.raises(Usage) as caught:
        read_settings(argv, {f"MODELPORT_FETCH_{name}": value for name, value in environ.items()})
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["Bearer secret", '["secret"]', '{"Authorization": ["secret"]}', "{secret"])
def test_headers_that_are_none_are_refused_without_being_shown(text):
    with pytest.raises(Usage, match=r"HEADERS: expected a JSON object of texts") as caught:
        one_job("a", HEADERS=text)
    assert "secret" not in str(caught.value)


def test_headers_come_from_the_environment_and_are_not_shown():
    settings, _ = read_settings(["a"], {"MODELPORT_FETCH_HEADERS": '{"Authorization": "Bearer secret"}'})
    assert settings.headers == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "patterns"), [("*.onnx, config/*,", ("*.onnx", "config/*")), ('["a,b", "*.onnx"]', ("a,b", "*.onnx"))]
)
def test_patterns_stand_between_commas_or_in_a_list(text, patterns):
    assert one_job("a", ALLOW_PATTERNS=text).wanted.patterns == Patterns(allow=patterns)


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("500", 500), ("2K", 2000), ("50Gi", 50 << 30), ("1M", 10**6)])
def test_sizes(text, size):
    settings, _ = read_settings(["a", "--cache-size", text], {})
    assert settings.cache_size == size


def test_variables_of_the_other_initializer_count_where_ours_are_not_set():
    theirs = {"STORAGE_URI": "gs://b/k", "STORAGE_ALLOW_PATTERNS": "*.onnx", "STORAGE_IGNORE_PATTERNS": '["x"]'}
    _, (job,) = read_settings([], theirs)
    assert (job.wanted.uri, job.wanted.patterns) == ("gs://b/k", Patterns(("*.onnx",), ("x",)))
    _, (job,) = read_settings([], theirs | {"MODELPORT_FETCH_URI": "gs://ours"})
    assert job.wanted.uri == "gs://ours"


def test_listing_takes_one_uri_and_the_same_settings():
    settings, uri, as_json = read_listing(["gs://b/k", "--json", "--auth", "anonymous"], {})
    assert (uri, as_json, settings.auth) == ("gs://b/k", True, "anonymous")
    assert read_listing([], {"MODELPORT_FETCH_URI": "gs://b"})[1:] == ("gs://b", False)
    for argv in ([], ["a", "b"]):
        with pytest.raises(Usage, match="versions takes one URI"):
            read_listing(argv, {})
