"""`modelport settings`: what the service would run with."""

import click

from modelport.cli.children import forwarding_signals
from modelport.cli.group import Command

EXAMPLES = ("MODELPORT_API_PORT=9000 modelport settings",)


@click.command("settings", cls=Command, examples=EXAMPLES, exit_codes={2: "a setting is unknown or has a bad value"})
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the service's settings and where each came from.

    Code defaults < config.yaml < .env < environment < flags. Secrets are masked.
    """
    with forwarding_signals() as children:
        ctx.exit(children.run("model_service", ["--show-settings", *(["--json"] if as_json else [])]))
