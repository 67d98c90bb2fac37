"""`modelport versions`: what there is to deploy, and to go back to."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from modelport.cli.children import forwarding_signals
from modelport.cli.fetch import EXIT_CODES
from modelport.cli.group import Command
from modelport.cli.table import human_size, table

Version = Mapping[str, Any]
COLUMNS: Mapping[str, Callable[[Version], str]] = {
    "version": lambda row: f"{row['version']} (newest)" if row["newest"] else row["version"],
    "created": lambda row: row["created"],
    "size": lambda row: human_size(row["size"]),
    "formats": lambda row: ", ".join(row["formats"]),
    "digest": lambda row: row["digest"],
}
EXAMPLES = ("modelport versions gs://models/churn", "modelport versions s3://models/churn --json")


@click.command("versions", cls=Command, examples=EXAMPLES, exit_codes=EXIT_CODES)
@click.argument("uri")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(ctx: click.Context, uri: str, as_json: bool) -> None:
    """List the versions of a model in a folder or bucket, lowest first.

    URI is a path or file://, gs://, s3://, and names a directory of versions or one bundle. The newest is the one that
    fetching takes when no version is named. The last line shows how to go back to the one before.
    """
    with forwarding_signals() as children:
        code, output = children.read("model_fetcher", ["versions", uri, "--json"])
    if code:
        ctx.exit(code)
    rows = json.loads(output)
    found = [{**row, "newest": row is rows[-1]} for row in rows]
    click.echo(json.dumps(found, indent=2) if as_json else _shown(found))


def _shown(found: Sequence[Version]) -> str:
    lines = [table([[cell(row) for cell in COLUMNS.values()] for row in found], [name.upper() for name in COLUMNS])]
    if len(found) > 1:
        before = found[-2]
        lines.append(f"\nback to {before['version']}: modelport fetch {before['uri']} DEST --digest {before['digest']}")
    return "\n".join(lines)
