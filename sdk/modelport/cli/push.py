"""`modelport push`: a bundle goes to the folder or bucket that it is fetched from."""

import dataclasses
import json
import shlex
from pathlib import Path

import click

from model_artifact.delivery import DeliveryError
from modelport.cli.bar import Bar
from modelport.cli.group import Command, Failure
from modelport.cli.opened import bundle_directory
from modelport.cli.table import human_size
from modelport.pushing import Pushed, push
from modelport.pushing.places import scheme_of

EXIT_CODES = {
    1: "not a bundle",
    2: "usage, or the package of a scheme is missing",
    10: "access denied",
    11: "no such bucket",
    12: "unreachable",
    13: "disk full",
    14: "the bundle here is damaged",
    15: "the version is there with other content",
}
EXAMPLES = (
    "modelport push models/churn/3 gs://models",
    "modelport push models/churn/3 s3://models/production --json",
    "modelport push model.onnx /mnt/shared/models --name churn --version 3",
)


@click.command("push", cls=Command, examples=EXAMPLES, exit_codes=EXIT_CODES)
@click.argument("path", metavar="BUNDLE|FILE", type=click.Path(exists=True, path_type=Path))
@click.argument("uri")
@click.option("--name", help="Name of a bare model file; its stem when left out.")
@click.option("--version", help="Version of a bare model file; 1 when left out.")
@click.option("--overwrite", is_flag=True, help="Replace other content under the same name and version.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(path: Path, uri: str, *, overwrite: bool, as_json: bool, **identity: str | None) -> None:
    """Upload a bundle to URI/NAME/VERSION/, and print what to deploy.

    URI is a path or file://, gs://, s3://. Every byte is verified first, the manifest goes last, so nobody fetches half
    a version, and a version that exists is never changed by accident. Run it again to go on after an interruption.
    """
    if path.is_dir() and any(identity.values()):
        raise click.UsageError("--name and --version are for bare model files: a bundle has its own")
    try:
        with bundle_directory(path, **identity) as directory, Bar() as bar:
            pushed = push(directory, uri, overwrite=overwrite, tell=bar.tell)
    except DeliveryError as error:
        raise Failure(str(error), error.exit_code) from error
    click.echo(json.dumps(dataclasses.asdict(pushed), indent=2) if as_json else _summary(pushed))


def _summary(pushed: Pushed) -> str:
    uri, digest = shlex.quote(pushed.uri), pushed.digest
    size = f"{pushed.files} files, {human_size(pushed.size)}"
    sent = "there already" if pushed.already_there else f"{human_size(pushed.sent)} sent in {pushed.seconds:.1f} s"
    rows = [
        ("pushed", f"{pushed.name} version {pushed.version}: {size}, {sent}"),
        ("uri", pushed.uri),
        ("digest", digest),
        ("fetch", f"modelport fetch {uri} models --digest {digest}"),
    ]
    if scheme_of(pushed.uri) != "file":  # a folder of this machine is nothing that a pod can see
        values = f"--set-string model.uri={uri} --set-string model.digest={digest}"
        rows.append(("deploy", f"helm upgrade --install {pushed.name} charts/model-service {values}"))
    return "\n".join(f"{head:<6}  {text}" for head, text in rows)
