"""`modelport keys`: credentials for a service with access control; it stores only their hashes."""

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from modelport.cli.group import Command, Failure, Group

PREFIX = "mpk_"
"""Tells people, and programs that look for leaked secrets, what they have found."""
ROLES = ("predict", "docs", "metrics", "admin")
RANDOM_BYTES = 32
DAY = click.DateTime(["%Y-%m-%d"])

Entry = dict[str, Any]
Wrapped = Callable[..., Any]


def _for_entry(function: Wrapped) -> Wrapped:
    """The options that keys and passwords have in common; the function gets all of the entry but the hash, and FILE."""

    @wraps(function)
    def wrapper(
        name: str, roles: tuple[str, ...], models: tuple[str, ...], expires: datetime | None, **more: Any
    ) -> None:
        if not name or len(name.split()) != 1 or ":" in name:
            raise click.BadParameter(f"expected a name without spaces and colons, got {name!r}", param_hint="NAME")
        entry: Entry = {"name": name, "hash": "", "roles": list(roles or ("predict",))}
        entry |= {"models": list(models)} if models else {}
        entry |= {"expires": expires.date()} if expires else {}
        function(entry, **more)

    options = [
        click.argument("name"),
        click.option(
            "--role", "roles", multiple=True, type=click.Choice(ROLES), help="What it may do (default predict)."
        ),
        click.option("--model", "models", multiple=True, help="Limit it to this model; may be given again."),
        click.option("--expires", metavar="YYYY-MM-DD", type=DAY, help="When it ends, in UTC."),
        click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="Add the entry to this file."),
    ]
    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


@click.group("keys", cls=Group, examples=("modelport keys create shop --file keys.yaml",))
def command() -> None:
    """Make API keys and password hashes for MODELPORT_ACCESS__KEYS_FILE and _USERS_FILE."""


@command.command(
    "create",
    cls=Command,
    examples=(
        "modelport keys create shop",
        "modelport keys create ci --role admin --model churn --expires 2027-06-30 --file keys.yaml",
    ),
)
@_for_entry
def create(entry: Entry, file: Path | None) -> None:
    """Make an API key.

    The key is shown this once. With --file, nothing but the key is printed.
    """
    from modelport.cli import entries  # noqa: PLC0415 - YAML takes longer to import than all of this

    key = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    entry["hash"] = f"sha256:{sha256(key.encode()).hexdigest()}"
    if file is None:
        text = entries.written(entry)
        click.echo(f"key, shown this once:\n  {key}\n\nentry for MODELPORT_ACCESS__KEYS_FILE:\n{text}", nl=False)
    else:
        entries.add(entry, file)
        click.echo(key)


@command.command(
    "password",
    cls=Command,
    examples=("modelport keys password alice --file users.yaml", "modelport keys password nightly-job --client"),
)
@_for_entry
@click.option("--client", is_flag=True, help="A program that takes the client-credentials grant.")
@click.password_option(help="Asked for when it is left out; on the command line, others may see it.")
def make_password(entry: Entry, file: Path | None, client: bool, password: str) -> None:
    """Hash a password with argon2, for HTTP Basic and POST /oauth/token."""
    from modelport.cli import entries  # noqa: PLC0415 - YAML takes longer to import than all of this

    try:
        from argon2 import PasswordHasher  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        raise Failure("this needs the package argon2-cffi: pip install 'modelport[access]'") from None
    entry["hash"] = PasswordHasher().hash(password)
    entry |= {"client": True} if client else {}
    if file is None:
        click.echo(f"entry for MODELPORT_ACCESS__USERS_FILE:\n{entries.written(entry)}", nl=False)
    else:
        entries.add(entry, file)
