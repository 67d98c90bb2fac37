"""What the commands share that talk to admin ports: which servers are meant, and how what they answer is told."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from modelport.admin import AdminApi, Document, Fleet, Outdated, open_url
from modelport.answers import ApiError, ClientError, ServiceUnreachable
from modelport.cli.group import Failure

TOKEN = "MODELPORT_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_URL = "http://127.0.0.1:8081"
UNREACHABLE = 12
EXIT_CODES = {1: "refused, or a pod did not take it", 2: "usage", UNREACHABLE: "no server gave an answer"}


class Server:
    """A fleet of one, which keeps its own document."""

    def __init__(self, api: AdminApi) -> None:
        self._api = api

    def members(self) -> list[AdminApi]:
        """The server."""
        return [self._api]

    def stored(self) -> Document:
        """What it has in force."""
        return self._api.traffic()

    def store(self, document: Document) -> None:
        """Nothing: it was told already, and whoever starts it again gives it a document."""


@dataclass(frozen=True)
class Target:
    """The servers that a command line names."""

    url: str
    token_file: Path | None
    release: str | None
    namespace: str | None
    timeout: float
    as_json: bool

    def fleet(self) -> Fleet:
        """Find them.

        Raises:
            Failure: there are none, or a package is missing.
        """
        if self.release is None:
            try:
                return Server(open_url(self.url, self._token(), self.timeout))
            except ValueError as error:
                raise click.UsageError(str(error)) from error
        try:
            cluster = import_module("modelport.admin.cluster")
        except ImportError as error:
            raise Failure(
                f"--kubernetes needs a package that is not installed ({error.name}): "
                "pip install 'modelport[kubernetes]'",
                2,
            ) from error
        fleet: Fleet = cluster.Release(self.release, self.namespace, self._token(), self.timeout)
        return fleet

    def _token(self) -> str | None:
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").strip()
        return os.environ.get(TOKEN) or None


def with_target(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name servers; it gets them as its first argument, a `Target`."""

    @wraps(function)
    def called(*, token_file: Path | None, namespace: str | None, **others: Any) -> Any:
        own = {field.name: others.pop(field.name) for field in fields(Target) if field.name in others}
        if namespace is not None and own["release"] is None:
            raise click.UsageError("--namespace goes with --kubernetes RELEASE")
        return function(Target(**own, token_file=token_file, namespace=namespace), **others)

    options = (
        click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the admin port of one server is."),
        click.option("--kubernetes", "release", metavar="RELEASE", help="Every pod of a release of the chart instead."),
        click.option("--namespace", "-n", help="Of the release; that of the current context when left out."),
        click.option(
            "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help=f"File with the admin token; {TOKEN} when left out, then the release's own Secret.",
        ),
        click.option("--timeout", default=120.0, show_default=True, help="Seconds for a request; loading takes time."),
        click.option("--json", "as_json", is_flag=True, help="As JSON."),
    )  # fmt: skip
    for option in reversed(options):
        called = option(called)
    return called


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong with servers and documents, as a sentence and an exit code."""
    try:
        yield
    except ServiceUnreachable as error:
        raise Failure(str(error), UNREACHABLE) from error
    except ApiError as error:
        raise Failure(f"refused: {error}") from error
    except Outdated as error:
        raise Failure(f"somebody else is changing the traffic too: {error}; look at it and try again") from error
    except (LookupError, ClientError) as error:
        raise Failure(str(error.args[0])) from error
