"""`modelport rollout`: how far a candidate version is, and what to do with it.

The operator acts: a command leaves an annotation for it, waits until it was seen, and says what became of it.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol

import click

from modelport.cli.group import Command, Failure, Group
from modelport.cli.table import table

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 30.0
"""For the operator to see a command: it looks every 2 s while a rollout is under way."""
UNDER_WAY = frozenset({"Preparing", "Loading", "Shadowing", "Stepping", "Promoting", "Paused"})
ACTIONS = {
    "promote": "Give the candidate all of the traffic now, whatever steps are left.",
    "pause": "Hold the rollout where it is; the candidate is still watched, and aborted when it turns bad.",
    "resume": "Go on after a pause or an approval; after an abort, begin again.",
    "abort": "Give all of the traffic back to the stable version.",
}
COUNTS = ("answers", "failed", "refused", "copies")
EXIT_CODES = {1: "refused, or nothing that the operator could do", 2: "usage, or a package is missing"}

Status = Mapping[str, Any]


class Rolling(Protocol):
    """A ModelDeployment: `modelport.cli.deployments.Deployment`."""

    def read(self) -> Mapping[str, Any]:
        """As it is now."""
        ...

    def ask(self, command: str) -> None:
        """Leave a command for the operator."""
        ...


@click.group("rollout", cls=Group, examples=("modelport rollout status churn -n models --watch",))
def command() -> None:
    """Follow and steer the rollout of a ModelDeployment's new version."""


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """What every command takes."""
    options = (
        click.argument("name"),
        click.option("--namespace", "-n", help="That of the current context when left out."),
        click.option("--watch", is_flag=True, help="Go on telling until the rollout is over."),
        click.option("--json", "as_json", is_flag=True, help="As JSON: `status.rollout`."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command(
    "status",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=("modelport rollout status churn -n models", "modelport rollout status churn --watch"),
)
@_options
def status(name: str, namespace: str | None, *, watch: bool, as_json: bool) -> None:
    """Show the stage, the weights and the figures that the candidate is judged by."""
    deployment = _deployment(name, namespace)
    _tell(deployment, name, watch=watch, as_json=as_json)


def _action(action: str, says: str) -> click.Command:
    """The command that asks the operator for one action."""

    @command.command(
        action, cls=Command, help=says, exit_codes=EXIT_CODES, examples=(f"modelport rollout {action} churn -n models",)
    )
    @_options
    def act(name: str, namespace: str | None, *, watch: bool, as_json: bool) -> None:
        deployment = _deployment(name, namespace)
        found = _rollout(deployment.read(), name)
        candidate = f":{found['candidate']}" if found["candidate"] else ""
        asked = f"{action}{candidate}@{datetime.now(UTC).isoformat(timespec='milliseconds')}"
        deployment.ask(asked)
        _obeyed(deployment, name, asked)
        _tell(deployment, name, watch=watch, as_json=as_json)

    return act


for _name, _says in ACTIONS.items():
    _action(_name, _says)


def _deployment(name: str, namespace: str | None) -> Rolling:
    try:
        module = import_module("modelport.cli.deployments")
    except ImportError as error:
        raise Failure(f"a package is not installed ({error.name}): pip install 'modelport[kubernetes]'", 2) from error
    deployment: Rolling = module.Deployment(name, namespace)
    return deployment


def _obeyed(deployment: Rolling, name: str, asked: str) -> None:
    """Wait until the operator has seen a command.

    Raises:
        Failure: it made no sense to the operator, or no operator was there to see it.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        found = _rollout(deployment.read(), name)
        if found["command"] == asked:
            if found["ignored"]:
                raise Failure(found["ignored"])
            return
        time.sleep(POLL_SECONDS)
    raise Failure(
        f"no operator has seen the command for {PATIENCE_SECONDS:.0f} s; it will act on it when it runs again"
    )


def _tell(deployment: Rolling, name: str, *, watch: bool, as_json: bool) -> None:
    for found in _looks(deployment, name) if watch and not as_json else ():
        click.echo(_headline(name, found))
    while watch and as_json and _rollout(deployment.read(), name)["stage"] in UNDER_WAY:
        time.sleep(POLL_SECONDS)
    found = _rollout(deployment.read(), name)
    click.echo(json.dumps(found, indent=2) if as_json else _shown(name, found))


def _looks(deployment: Rolling, name: str) -> Iterator[Status]:
    """A status whenever its headline has changed, until the rollout is over."""
    said = ""
    while (found := _rollout(deployment.read(), name))["stage"] in UNDER_WAY:
        if (headline := _headline(name, found)) != said:
            said = headline
            yield found
        time.sleep(POLL_SECONDS)


def _rollout(resource: Mapping[str, Any], name: str) -> Status:
    """`status.rollout`.

    Raises:
        Failure: the operator has not written one.
    """
    found: Status | None = resource.get("status", {}).get("rollout")
    if not found or not found.get("stage"):
        raise Failure(f"{name} has no status yet: does the operator run? kubectl describe md {name}")
    return found


def _headline(name: str, found: Status) -> str:
    """One line: stage and why."""
    reason = f" ({found['reason']})" if found["reason"] else ""
    return f"{name}: {found['stage']}{reason}{': ' if found['message'] else ''}{found['message']}"


def _shown(name: str, found: Status) -> str:
    roles = {found["stable"]: "stable", found["candidate"]: "candidate"}
    versions = [
        [row["version"], roles[row["version"]], f"{row['weight']} %", *(row[count] for count in COUNTS)]
        for row in found["versions"]
    ]
    figures = [[told["name"], f"{told['value']:.4g}", told.get("limit", "")] for told in found["analysis"]]
    header = ("VERSION", "ROLE", "TRAFFIC", *(count.upper() for count in COUNTS))
    tables = [table(versions, header)] + ([table(figures, ("FIGURE", "VALUE", "LIMIT"))] if figures else [])
    return "\n\n".join([_headline(name, found), *tables])
