import click
import pytest

from modelport.cli import COMMANDS, main

COMMAND_NAMES = [command.name for section in COMMANDS.values() for command in section]


def test_help_teaches_the_path_in_order(run):
    text = run("--help").output
    steps = ["modelport pack model.joblib --sample", "modelport serve models", "curl localhost:8000/predict"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_every_command_is_in_a_section(run):
    text = run("--help").output
    for title, section in COMMANDS.items():
        listed = text.split(f"\n{title}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in listed.splitlines() if line[2] != " "] == [item.name for item in section]


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_command_shows_an_example_that_parses(run, name):
    text = run(name, "--help").output
    command = main.commands[name]
    assert f"\nExamples:\n  {command.examples[0]}" in text
    one_line = "\n".join(command.examples).replace("\\\n", " ")
    for line in one_line.splitlines():
        words = line.split("modelport ", 1)[1].split()[1:]
        try:
            command.make_context(name, words, resilient_parsing=False)
        except click.BadParameter as error:  # the files of the examples are not here
            assert "does not exist" in error.message  # noqa: PT017


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_option_says_what_it_is_for(name):
    options = [param for param in main.commands[name].params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_version(run):
    assert run("--version").output.startswith("modelport, version ")


def test_an_unknown_command_is_a_usage_error(run):
    result = run("pak")
    assert result.exit_code == 2
    assert "No such command 'pak'" in result.stderr


def test_exit_codes_are_shown(run):
    assert "14  digest or signature mismatch" in run("fetch", "--help").output
