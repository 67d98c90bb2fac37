"""`modelport pack`: a model file and a sample become a bundle."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from modelport.cli.group import Command

FORMATS = ("onnx", "joblib", "skops")


class _KeyValue(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, sign, text = str(value).partition("=")
        if not key or not sign:
            self.fail(f"{value!r} must look like key=value", param, ctx)
        return key, text


class _Progress(logging.Handler):
    """Shows what packing is doing on standard error, so that standard output holds the summary alone."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"... {record.getMessage()}", err=True)


EXAMPLES = (
    "modelport pack model.joblib --sample sample.csv --name churn --version 3 -o models",
    "modelport pack model.joblib --sample sample.csv --name churn -o models \\",
    "    --features features.yaml --label 0=stays --label 1=leaves --metadata author=ada",
)


@click.command("pack", cls=Command, examples=EXAMPLES)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--sample",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rows of the training features (csv or parquet); other columns are left out.",
)
@click.option("--name", required=True, help="Name of the model, as it appears in paths and answers.")
@click.option("--version", default="1", show_default=True, help="Version; numbers compare as numbers.")
@click.option("-o", "--destination", required=True, type=click.Path(path_type=Path), help="Root to publish below.")
@click.option(
    "--features",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="features.yaml: descriptions, limits, defaults, rules, labels.",
)
@click.option(
    "--hooks",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python file with preprocess(rows) or postprocess(answers), to run with the model.",
)
@click.option("--label", "labels", type=_KeyValue(), multiple=True, help="Text of a class, VALUE=TEXT; repeat it.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("onnx", "joblib"),
    show_default=True,
    help="Form of the model to put in; repeat it.",
)
@click.option("--metadata", type=_KeyValue(), multiple=True, help="KEY=VALUE for the model card; repeat it.")
@click.option("--keep-training-rows", is_flag=True, help="Take golden samples from the sample, not synthesised ones.")
@click.option("--force", is_flag=True, help="Replace other content under the same name and version.")
def command(
    model: Path,
    sample: Path,
    labels: Sequence[tuple[str, str]],
    metadata: Sequence[tuple[str, str]],
    formats: Sequence[str],
    **options: Any,
) -> None:
    """Make a fitted estimator into a bundle that can be served.

    MODEL is a joblib, pickle or skops file. It is loaded here, which runs whatever code is in it: pack only files that
    you made or trust. What leaves is checked: the ONNX form is kept only where it answers like the estimator.
    """
    from modelport.packing import pack_file  # noqa: PLC0415 - scikit-learn and pandas, only for packing

    log, progress = logging.getLogger("modelport"), _Progress()
    log.setLevel(logging.INFO)
    log.addHandler(progress)
    try:
        packed = pack_file(
            model, sample, labels=dict(labels) or None, metadata=dict(metadata) or None, formats=formats, **options
        )
    finally:
        log.removeHandler(progress)
    click.echo(str(packed))
