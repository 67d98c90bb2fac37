"""`modelport traffic` and `modelport models` against a server that keeps to the contract of the admin API."""

import json
import sys
from collections.abc import Iterator

import click
import pytest
from support.stand_in import StandIn, serving

from modelport.admin import AdminApi, Document, open_url
from modelport.cli import models, traffic
from modelport.cli.admin import TOKEN, Target


class Pair:
    """Servers that start with what is stored."""

    def __init__(self, servers: list[StandIn]) -> None:
        self.servers, self.document = servers, {"generation": 0, "models": {}}

    def members(self) -> list[AdminApi]:
        return [open_url(server.url, None, 60.0) for server in self.servers]

    def stored(self) -> Document:
        return self.document

    def store(self, document: Document) -> None:
        self.document = document


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("group", [models.command, traffic.command], ids=lambda group: group.name)
def test_every_verb_shows_an_example_that_parses_and_explains_its_options(group, run):
    for name, command in group.commands.items():
        assert f"\nExamples:\n  {command.examples[0]}" in run(group.name, name, "--help").output
        for line in command.examples:
            program, owner, verb, *words = line.split()
            assert (program, owner, verb) == ("modelport", group.name, name)
            command.make_context(name, words)
        options = [param for param in command.params if isinstance(param, click.Option)]
        assert [option.name for option in options if not option.help] == []


def test_nothing_is_set_at_first(run, server):
    result = run("traffic", "show", "--url", server.url)
    assert result.output == "generation 0: every request gets the server's own default\n"


def test_weights_are_set_and_shown(run, server):
    result = run("traffic", "set", "churn", "1=90", "2=10", "--sticky", "X-User-Id", "--url", server.url)
    assert result.exit_code == 0
    assert server.document == {
        "generation": 1,
        "models": {"churn": {"default": "1", "weights": {"1": 90, "2": 10}, "sticky": {"header": "X-User-Id"}}},
    }
    shown = run("traffic", "show", "--url", server.url).output
    assert shown == result.output.removesuffix(f"\nin force on {server.url}\n")
    assert shown.splitlines() == [
        "generation 1",
        "",
        "MODEL  VERSION  REQUESTS           USE",
        "-----  -------  -----------------  -------",
        "churn  1        90 % by X-User-Id  default",
        "churn  2        10 % by X-User-Id",
    ]


def test_each_change_raises_the_generation_and_keeps_the_rest(run, server):
    server.document = {
        "generation": 7,
        "models": {"other": {"default": "3"}, "churn": {"default": "1", "sticky": {"header": "X"}, "pinned": ["1"]}},
    }
    for words in (["set", "churn", "1=50", "2=50"], ["shadow", "churn", "3", "--percent", "20"]):
        assert run("traffic", *words, "--url", server.url).exit_code == 0
    entry = {"default": "1", "sticky": {"header": "X"}, "pinned": ["1"], "weights": {"1": 50, "2": 50}}
    expected = {"other": {"default": "3"}, "churn": entry | {"shadow": {"version": "3", "percent": 20}}}
    assert server.document == {"generation": 9, "models": expected}
    shown = [line.split() for line in run("traffic", "show", "--url", server.url).output.splitlines()]
    assert ["churn", "3", "shadow", "of", "20", "%"] in shown
    assert ["churn", "1", "50", "%", "by", "X", "default,", "pinned"] in shown
    run("traffic", "shadow", "churn", "--off", "--url", server.url)
    assert server.document["models"]["churn"] == entry


def test_a_version_is_promoted(run, server):
    run("traffic", "set", "churn", "1=90", "2=10", "--url", server.url)
    run("traffic", "shadow", "churn", "2", "--url", server.url)
    result = run("traffic", "default", "churn", "2", "--url", server.url, "--json")
    assert json.loads(result.output) == {"generation": 3, "models": {"churn": {"default": "2"}}}
    assert server.document == json.loads(result.output)


def test_a_weight_of_nothing_is_left_out(run, server):
    run("traffic", "set", "churn", "1=100", "2=0", "--url", server.url)
    assert server.document["models"]["churn"]["weights"] == {"1": 100}


def test_stickiness_is_kept_until_it_is_taken_away(run, server):
    shares = ("1=90", "2=10", "--url", server.url)
    for words, header in ((["--sticky", "X"], {"header": "X"}), ([], {"header": "X"}), (["--sticky", ""], None)):
        assert run("traffic", "set", "churn", *shares, *words).exit_code == 0
        assert server.document["models"]["churn"]["sticky"] == header


def test_servers_that_have_something_else_in_force_are_named(run, server, monkeypatch):
    with serving() as other:
        fleet = Pair([server, other])
        monkeypatch.setattr(Target, "fleet", lambda _: fleet)
        other.refused["2"] = "no memory is left"
        result = run("traffic", "set", "churn", "1=90", "2=10")
        assert result.exit_code == 1
        assert f"in force on {server.url}\n" in result.output
        assert f"not in force everywhere, {other.url}: no memory is left (conflict, HTTP 409)" in result.stderr
        shown = run("traffic", "show", "--kubernetes", "churn")
        assert shown.stderr == f"{other.url} has generation 0 in force\n"
        listed = run("models", "load", "churn", "2")
        assert f"{server.url}: churn version 2 is loaded\n" in listed.output
        assert listed.stderr == f"Error: {other.url}: no memory is left (model_unservable, HTTP 422)\n"
        assert json.loads(run("models", "list", "--kubernetes", "churn", "--json").output).keys() == {
            server.url, other.url,
        }  # fmt: skip


def test_a_conflict_is_tried_once_more_upon_what_is_in_force(run, server):
    def meanwhile() -> None:
        server.document = {"generation": 5, "models": {"churn": {"default": "2", "sticky": {"header": "Y"}}}}

    server.interrupt = meanwhile
    assert run("traffic", "set", "churn", "1=10", "2=90", "--url", server.url).exit_code == 0
    assert server.document["generation"] == 6
    assert server.document["models"]["churn"] == {
        "default": "2", "sticky": {"header": "Y"}, "weights": {"1": 10, "2": 90},
    }  # fmt: skip


def test_a_conflict_that_comes_again_is_told(run, server):
    def meanwhile() -> None:
        server.document = {"generation": server.document["generation"] + 5, "models": {}}
        server.interrupt = meanwhile

    server.interrupt = meanwhile
    result = run("traffic", "set", "churn", "1=10", "2=90", "--url", server.url)
    assert result.exit_code == 1
    assert "somebody else is changing the traffic too" in result.stderr
    assert server.document["models"] == {}


def test_a_version_that_cannot_be_served_is_refused_with_its_reason(run, server):
    server.refused["2"] = "golden row 3 is answered wrong"
    result = run("traffic", "set", "churn", "1=90", "2=10", "--url", server.url)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: refused: golden row 3 is answered wrong")
    assert server.document["generation"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["set", "churn", "1=90", "2=9"], "expected weights with the sum 100, got 90 + 9 = 99"),
        (["set", "churn", "1=90", "1=10"], "version 1 is named twice"),
        (["set", "churn", "1:90"], "expected VERSION=PERCENT with a whole percent, such as 2=10, got '1:90'"),
        (["set", "churn", "1=9.5", "2=90.5"], "expected VERSION=PERCENT"),
        (["shadow", "churn"], "give a VERSION, or --off"),
        (["shadow", "churn", "2", "--off"], "give a VERSION, or --off"),
        (["show", "--namespace", "models"], "--namespace goes with --kubernetes RELEASE"),
        (["show", "--url", "churn:8081"], "must look like http://127.0.0.1:8081"),
    ],
)
def test_a_wrong_use_is_told(run, words, sentence):
    result = run("traffic", *words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_model_that_is_not_there_is_told(run, server):
    result = run("traffic", "default", "chrun", "2", "--url", server.url)
    assert result.exit_code == 1
    assert result.stderr == "Error: chrun is not served there; churn is\n"


def test_a_server_that_is_not_there_is_told(run):
    url = "http://127.0.0.1:1"
    result = run("traffic", "show", "--url", url)
    assert result.exit_code == 12
    assert f"{url} gave no answer" in result.stderr
    assert "MODELPORT_ADMIN__PORT" in result.stderr


def test_the_token_is_sent(run, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("secret\n")
    with serving(token="secret") as server:
        refused = run("models", "list", "--url", server.url)
        assert refused.exit_code == 1
        assert "a bearer token is needed" in refused.stderr
        assert run("models", "list", "--url", server.url, "--token-file", file).exit_code == 0
        monkeypatch.setenv(TOKEN, "secret")
        assert run("models", "list", "--url", server.url).exit_code == 0


def test_models_are_listed(run, server):
    server.refused["3"] = "it is corrupt"
    run("traffic", "set", "churn", "1=90", "2=10", "--url", server.url)
    assert run("models", "list", "--url", server.url).output.splitlines() == [
        f"{server.url}: 3.0 MiB of 64.0 MiB in use by models, traffic generation 1",
        "",
        "MODEL  VERSION  STATE                  USE            MEMORY   DIGEST",
        "-----  -------  ---------------------  -------------  -------  -------------------",
        "churn  1        ready                  default, 90 %  3.0 MiB  sha256:111111111111",
        "churn  2        ready                  10 %           3.0 MiB  sha256:222222222222",
        "churn  3        failed: it is corrupt                          sha256:333333333333",
        "",
    ]
    listing = json.loads(run("models", "list", "--url", server.url, "--json").output)
    assert [row["version"] for row in listing["models"]] == ["1", "2", "3"]


def test_versions_are_loaded_and_unloaded(run, server):
    result = run("models", "load", "churn", "2", "--url", server.url)
    assert result.output == f"{server.url}: churn version 2 is loaded\n"
    assert server.loaded == {"1", "2"}
    row = json.loads(run("models", "unload", "churn", "2", "--url", server.url, "--json").output)
    assert row["version"] == "2"
    assert server.loaded == {"1"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("load", "churn", "9"), "churn version 9 is not published here (model_not_found, HTTP 404)"),
        (("load", "churn", "3"), "it is corrupt (model_unservable, HTTP 422)"),
        (("unload", "churn", "1"), "churn version 1 is in use by traffic (conflict, HTTP 409)"),
    ],
)
def test_what_a_server_refuses_is_told(run, server, words, sentence):
    server.refused["3"] = "it is corrupt"
    result = run("models", *words, "--url", server.url)
    assert result.exit_code == 1
    assert result.stderr == f"Error: refused: {sentence}\n"


def test_something_else_on_the_port_is_told(run, server):
    server.answer = lambda *_: (200, [])  # type: ignore[method-assign]
    result = run("models", "list", "--url", server.url)
    assert "is not the admin port of a Modelport service" in result.stderr


def test_a_missing_package_names_the_command_that_installs_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.delitem(sys.modules, "modelport.admin.cluster", raising=False)
    result = run("traffic", "show", "--kubernetes", "churn")
    assert result.exit_code == 2
    assert "(kubernetes): pip install 'modelport[kubernetes]'" in result.stderr
