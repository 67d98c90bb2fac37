"""`modelport inspect`: what is in a bundle, and what serving it takes."""

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from model_artifact import strict
from model_artifact.bundle import Bundle, open_bundle
from modelport.cli.children import capture, last_line
from modelport.cli.describe import describe
from modelport.cli.fetch import fetch_arguments
from modelport.cli.group import Command, Failure
from modelport.cli.measure import Measurement, Resources, advise, golden_rows, measure
from modelport.cli.places import fetched_place

EXAMPLES = (
    "modelport inspect models/churn/3",
    "modelport inspect models/churn/3 --workers 4 --json",
    "modelport inspect model.onnx --no-measure",
)


@click.command("inspect", cls=Command, examples=EXAMPLES)
@click.argument("path", metavar="BUNDLE|FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the whole manifest.")
@click.option("--no-measure", is_flag=True, help="Only read; load nothing.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Workers to advise for.")
@click.option("--allow-pickle", is_flag=True, help="Measure pickles as well, which runs the code in them.")
def command(path: Path, as_json: bool, no_measure: bool, workers: int, allow_pickle: bool) -> None:
    """Show what is in a bundle or a bare model file.

    Identity, files, formats and how they agree with the estimator, features, classes, rules; then the memory and time
    of each format, measured in the service's own runtime, and the resources to ask Kubernetes for. Contents are not
    hashed: `modelport verify` does that.
    """
    with _opened(path) as bundle:
        measurements = [] if no_measure else measure(bundle, allow_pickle=allow_pickle)
        resources = advise(measurements, workers)
        click.echo(_json(bundle, measurements, resources) if as_json else describe(bundle, measurements, resources))


@contextmanager
def _opened(path: Path) -> Iterator[Bundle]:
    if path.is_dir():
        yield open_bundle(path)
        return
    with tempfile.TemporaryDirectory(prefix="modelport-") as folder:
        done = capture("model_fetcher", fetch_arguments(str(path), folder, {}))
        if done.returncode:
            raise Failure(last_line(done.stderr), done.returncode)
        place = fetched_place(done.stdout)
        yield open_bundle(place.root / str(place.name) / str(place.version))


def _json(bundle: Bundle, measurements: list[Measurement], resources: Resources | None) -> str:
    document = {
        "digest": bundle.digest,
        "manifest": strict.to_json(bundle.manifest),
        "golden_rows": len(golden_rows(bundle)),
        "measured": [dataclasses.asdict(item) for item in measurements],
        "resources": dataclasses.asdict(resources) if resources else None,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
