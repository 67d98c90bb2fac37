"""The frame around all commands: help in sections, and expected errors as one sentence instead of a traceback."""

import errno
from collections.abc import Mapping, Sequence
from typing import Any

import click

from model_artifact.errors import ArtifactError, DigestMismatch

EXIT_FAILED = 1
EXIT_MISMATCH = 14
"""A digest that differs ends with this code in every program of the project."""

Sections = Mapping[str, Sequence[click.Command]]


class Failure(Exception):
    """What a command found wrong: a sentence for people, and the code to exit with."""

    def __init__(self, message: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Exemplified(click.Command):
    """A command whose help ends with examples and, where they say more than success or failure, its exit codes."""

    def __init__(
        self, *arguments: Any, examples: Sequence[str], exit_codes: Mapping[int, str] | None = None, **keywords: Any
    ) -> None:
        super().__init__(*arguments, **keywords)
        self.examples = examples
        self.exit_codes = exit_codes or {}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what comes after the options."""
        del ctx
        with formatter.section("Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        if self.exit_codes:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), meaning) for code, meaning in self.exit_codes.items()])


class Command(Exemplified):
    """A command that does one thing."""


class Group(Exemplified, click.Group):
    """A command of several verbs."""


class Program(click.Group):
    """A group whose help lists its commands in sections."""

    def __init__(self, *, sections: Sections, **keywords: Any) -> None:
        self._sections = sections
        commands = {command.name or "": command for section in sections.values() for command in section}
        super().__init__("modelport", commands=commands, **keywords)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section, in the order given."""
        del ctx
        width = max(len(name) for name in self.commands)
        for title, section in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{command.name:<{width}}", command.get_short_help_str(90)) for command in section]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what is wrong with files and bundles is told, what is wrong with the program is raised."""
        try:
            return super().invoke(ctx)
        except Failure as error:
            message, code = str(error), error.exit_code
        except ArtifactError as error:
            message, code = str(error), EXIT_MISMATCH if isinstance(error, DigestMismatch) else EXIT_FAILED
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            message, code = _sentence(error), EXIT_FAILED
        click.echo(f"Error: {message}", err=True)
        return ctx.exit(code)


def _sentence(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
