"""`modelport traffic`: which version answers which part of the requests."""

import json
from collections.abc import Callable

import click

from modelport.admin import Changed, Document, Entry, change
from modelport.admin.documents import parse_weights, with_default, with_shadow, with_weights, without_shadow
from modelport.cli.admin import EXIT_CODES, Target, told, with_target
from modelport.cli.group import Command, Failure, Group
from modelport.cli.table import table

HEADER = ("MODEL", "VERSION", "REQUESTS", "USE")


@click.group("traffic", cls=Group, examples=("modelport traffic show", "modelport traffic set churn 1=90 2=10"))
def command() -> None:
    """Share requests out between the versions of a running server, without a restart.

    A change is proven by one server before anything is written; with --kubernetes it then goes to the release's
    ConfigMap, for pods that start later, and to every pod. Nothing of the pods themselves changes.
    """


@command.command(
    "show",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=("modelport traffic show", "modelport traffic show --kubernetes churn -n models --json"),
)
@with_target
def show(target: Target) -> None:
    """Show what is in force; with --kubernetes, what new pods start with and which pods have something else."""
    with told():
        fleet = target.fleet()
        document = fleet.stored()
        in_force = {member.where: member.traffic() for member in fleet.members()} if target.release else {}
    generations = {where: found["generation"] for where, found in in_force.items()}
    click.echo(json.dumps(document, indent=2) if target.as_json else _shown(document))
    for where, generation in generations.items():
        if generation != document["generation"]:
            click.echo(f"{where} has generation {generation} in force", err=True)


@command.command(
    "set",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=(
        "modelport traffic set churn 1=90 2=10 --sticky X-User-Id",
        "modelport traffic set churn 1=50 2=50 --kubernetes churn -n models",
    ),
)
@click.argument("model")
@click.argument("weights", nargs=-1, required=True, metavar="VERSION=PERCENT...")
@click.option(
    "--sticky", metavar="HEADER", help="The same value of this header always gets the same version; empty: by chance."
)
@with_target
def set_weights(target: Target, model: str, weights: tuple[str, ...], sticky: str | None) -> None:
    """Share the requests for a model out by whole percents, which add up to 100.

    The versions are loaded and proven first. Requests that name a version get that one, whatever the weights are.
    """
    try:
        shares = parse_weights(weights)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _change(target, model, lambda entry: with_weights(entry, shares, sticky))


@command.command("default", cls=Command, exit_codes=EXIT_CODES, examples=("modelport traffic default churn 2",))
@click.argument("model")
@click.argument("version")
@with_target
def default(target: Target, model: str, version: str) -> None:
    """Give a version all requests that name none: promote it, or go back to it. Weights are dropped."""
    _change(target, model, lambda entry: with_default(entry, version))


@command.command(
    "shadow",
    cls=Command,
    exit_codes=EXIT_CODES,
    examples=("modelport traffic shadow churn 3 --percent 20", "modelport traffic shadow churn --off"),
)
@click.argument("model")
@click.argument("version", required=False)
@click.option("--percent", type=click.IntRange(1, 100), default=100, show_default=True, help="Of the requests.")
@click.option("--off", is_flag=True, help="No version is asked for comparison any more.")
@with_target
def shadow(target: Target, model: str, version: str | None, percent: int, *, off: bool) -> None:
    """Ask a version too, after the answer was sent; its own answers are compared and counted in /metrics only."""
    if off == (version is not None):
        raise click.UsageError("give a VERSION, or --off")
    _change(target, model, (lambda entry: with_shadow(entry, version, percent)) if version else without_shadow)


def _change(target: Target, model: str, edit: Callable[[Entry], Entry]) -> None:
    with told():
        changed = change(target.fleet(), model, edit)
    click.echo(
        json.dumps(changed.document, indent=2) if target.as_json else f"{_shown(changed.document)}\n\n{_taken(changed)}"
    )
    if changed.failed:
        told_of = "; ".join(f"{where}: {reason}" for where, reason in changed.failed.items())
        raise Failure(f"not in force everywhere, {told_of}. They read the ConfigMap again within two minutes")


def _taken(changed: Changed) -> str:
    return f"in force on {', '.join(changed.taken)}" if changed.taken else "no pod is ready: new ones start with it"


def _shown(document: Document) -> str:
    lines = [row for name, entry in document["models"].items() for row in _rows(name, entry)]
    head = f"generation {document['generation']}"
    return f"{head}\n\n{table(lines, HEADER)}" if lines else f"{head}: every request gets the server's own default"


def _rows(name: str, entry: Entry) -> list[tuple[str, str, str, str]]:
    weights = entry.get("weights") or {entry["default"]: 100}
    shadowed = entry.get("shadow") or {}
    header = (entry.get("sticky") or {}).get("header")
    versions = dict.fromkeys(
        [entry["default"], *weights, *([shadowed["version"]] if shadowed else []), *entry.get("pinned", ())]
    )
    rows = []
    for version in versions:
        use = [
            *(["default"] if version == entry["default"] else []),
            *([f"shadow of {shadowed.get('percent', 100)} %"] if version == shadowed.get("version") else []),
            *(["pinned"] if version in entry.get("pinned", ()) else []),
        ]
        share = f"{weights[version]} %" if version in weights else ""
        divided = header and share and len(weights) > 1
        rows.append((name, version, f"{share} by {header}" if divided else share, ", ".join(use)))
    return rows
