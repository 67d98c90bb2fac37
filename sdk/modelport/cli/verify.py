"""`modelport verify`: is every byte the one that was packed?"""

from pathlib import Path

import click

from model_artifact.bundle import verify
from modelport.cli.group import Command
from modelport.cli.table import human_size

EXAMPLES = (
    "modelport verify models/churn/3 --digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
)


@click.command("verify", cls=Command, examples=EXAMPLES, exit_codes={1: "not a bundle", 14: "a byte differs"})
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--digest", metavar="sha256:HEX", help="What the bundle must be; `modelport pack` printed it.")
def command(directory: Path, digest: str | None) -> None:
    """Hash every file of a bundle and compare with its manifest.

    DIRECTORY holds manifest.json. Without --digest this proves that the bundle is whole; with it, that it is the one
    you mean.
    """
    bundle = verify(directory, digest)
    files = bundle.manifest.files
    size = human_size(sum(entry.size for entry in files))
    click.echo(f"OK {bundle.manifest.name} {bundle.manifest.version}: {len(files)} files, {size}, {bundle.digest}")
