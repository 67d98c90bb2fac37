"""`modelport doctor`: run every check and say what to do."""

from pathlib import Path

import click

from modelport.cli.checks import CHECKS, Context, Finding
from modelport.cli.group import Command
from modelport.cli.table import table

EXAMPLES = (
    "modelport doctor",
    "modelport doctor models/churn/3",
)


@click.command("doctor", cls=Command, examples=EXAMPLES, exit_codes={1: "a check failed"})
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.pass_context
def command(ctx: click.Context, bundle: Path | None) -> None:
    """Check this environment, its settings and, when given, BUNDLE.

    Every finding is ok, warn or fail, with what to do about it.
    """
    context = Context.read(bundle)
    findings = [finding for check in CHECKS for finding in check(context)]
    click.echo(table([_row(finding) for finding in findings]))
    failed = [finding for finding in findings if finding.status == "fail"]
    if failed:
        click.echo(f"\n{len(failed)} failed", err=True)
        ctx.exit(1)


def _row(finding: Finding) -> tuple[str, str, str]:
    advice = f" -> {finding.advice}" if finding.advice else ""
    return finding.status, finding.subject, f"{finding.found}{advice}"
