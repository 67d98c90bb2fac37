"""`modelport fetch`: what the init container does, by hand."""

from collections.abc import Sequence

import click

from modelport.cli.children import forwarding_signals
from modelport.cli.group import Command


def fetch_arguments(uri: str, root: str, options: dict[str, str | None], flags: Sequence[str] = ()) -> list[str]:
    """The fetcher's command line; options that are null are left out."""
    given = [part for name, value in options.items() if value is not None for part in (f"--{name}", value)]
    return ["--root", root, uri, *given, *flags]


EXIT_CODES = {
    2: "usage",
    10: "access denied",
    11: "not found",
    12: "unreachable or stalled",
    13: "disk full",
    14: "digest or signature mismatch",
    15: "refused by policy",
}
EXAMPLES = (
    "modelport fetch gs://models/churn/3 /mnt/models --digest sha256:9f86d081884c7d65...",
    "modelport fetch https://example.com/churn.onnx models --sha256 9f86d081884c7d65...",
)


@click.command("fetch", cls=Command, examples=EXAMPLES, exit_codes=EXIT_CODES)
@click.argument("uri")
@click.argument("dest")
@click.option("--digest", metavar="sha256:HEX", help="Pin of a bundle: nothing else is accepted.")
@click.option("--sha256", metavar="HEX", help="Pin of a bare model file.")
@click.option("--name", help="Name of a bare model file; its stem when left out.")
@click.option("--version", help="Version to take, or that of a bare file (1 when left out).")
@click.option("--require-pinned", is_flag=True, help="Refuse what neither --digest nor --sha256 pins.")
@click.option("--force", is_flag=True, help="Replace other content under the same name and version.")
@click.pass_context
def command(
    ctx: click.Context, /, uri: str, dest: str, require_pinned: bool, force: bool, **options: str | None
) -> None:
    """Fetch a model, verify it and publish it as DEST/NAME/VERSION/.

    URI is a path or file://, http(s)://, gs:// or s3://, and names a bundle, a directory of versions, a bare model file
    or an archive of one. Nothing is unpickled, and nothing half-fetched is ever at its place.
    """
    flags = [flag for flag, given in (("--require-pinned", require_pinned), ("--force", force)) if given]
    with forwarding_signals() as children:
        ctx.exit(children.run("model_fetcher", fetch_arguments(uri, dest, options, flags)))
