"""`modelport models`: which versions a server, or every pod of a release, has loaded."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from modelport.admin import AdminApi
from modelport.answers import ClientError
from modelport.cli.admin import EXIT_CODES, Target, told, with_target
from modelport.cli.group import Command, Failure, Group
from modelport.cli.table import human_size, table

Row = Mapping[str, Any]
COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "model": lambda row: row["name"],
    "version": lambda row: row["version"],
    "state": lambda row: f"{row['state']}: {row['reason']}" if row.get("reason") else row["state"],
    "use": lambda row: ", ".join(_use(row)),
    "memory": lambda row: human_size(row["bytes"]) if row.get("bytes") else "",
    "digest": lambda row: (row.get("digest") or "")[:19],
}


@click.group("models", cls=Group, examples=("modelport models list", "modelport models load churn 2"))
def command() -> None:
    """List, load and unload the versions of a running server.

    They go to the admin port, which MODELPORT_ADMIN__PORT or the chart's `admin.enabled` opens.
    """


@command.command(
    "list",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=("modelport models list", "modelport models list --kubernetes churn -n models --json"),
)
@with_target
def list_models(target: Target) -> None:
    """Show every version with its state, what traffic uses it for, and its memory."""
    with told():
        listings = {member.where: member.models() for member in target.fleet().members()}
    if target.as_json:
        click.echo(json.dumps(listings if target.release else next(iter(listings.values())), indent=2))
        return
    for where, listing in listings.items():
        rows = [[cell(row) for cell in COLUMNS.values()] for row in listing["models"]]
        budget = listing.get("budget_bytes")
        limit = f" of {human_size(budget)}" if budget else ""
        used = f"{human_size(listing.get('used_bytes') or 0)}{limit} in use by models"
        click.echo(f"{where}: {used}, traffic generation {listing['generation']}\n")
        click.echo(table(rows, [name.upper() for name in COLUMNS]) + "\n")


@command.command(
    "load",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=("modelport models load churn 2", "modelport models load churn 2 --kubernetes churn"),
)
@click.argument("name")
@click.argument("version")
@with_target
def load(target: Target, name: str, version: str) -> None:
    """Load and prove a version in every worker, before anybody asks for it."""
    _everywhere(target, lambda member: member.load(name, version), f"{name} version {version} is loaded")


@command.command("unload", cls=Command, exit_codes=EXIT_CODES, examples=("modelport models unload churn 1",))
@click.argument("name")
@click.argument("version")
@with_target
def unload(target: Target, name: str, version: str) -> None:
    """Let go of a version that traffic does not need; requests in flight finish first."""
    _everywhere(target, lambda member: member.unload(name, version), f"{name} version {version} is unloaded")


def _everywhere(target: Target, act: Callable[[AdminApi], Row], done: str) -> None:
    with told():
        members = target.fleet().members()
        if not members:
            raise LookupError("no pod is ready")
        rows, failed = _attempt(members, act)
        if len(failed) == len(members):
            raise next(iter(failed.values()))
    if target.as_json:
        click.echo(json.dumps(rows if target.release else next(iter(rows.values())), indent=2))
    else:
        click.echo("\n".join(f"{where}: {done}" for where in rows))
    if failed:
        raise Failure("; ".join(f"{where}: {error}" for where, error in failed.items()))


def _attempt(members: list[AdminApi], act: Callable[[AdminApi], Row]) -> tuple[dict[str, Row], dict[str, ClientError]]:
    rows, failed = {}, {}
    for member in members:
        try:
            rows[member.where] = act(member)
        except ClientError as error:
            failed[member.where] = error
    return rows, failed


def _use(row: Row) -> list[str]:
    weight = row.get("weight")
    shadow = row.get("shadow")
    return [
        *(["default"] if row.get("default") else []),
        *([f"{weight} %"] if weight else []),
        *([f"shadow of {shadow} %"] if shadow else []),
        *(["pinned"] if row.get("pinned") else []),
    ]
