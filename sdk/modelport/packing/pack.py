"""`pack`: from a fitted estimator and a few rows to a published bundle, with nothing in it that was not measured."""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from model_artifact import strict
from model_artifact.bundle import open_bundle
from model_artifact.coercion import Problem, Row, RowCoercer
from model_artifact.framework import describe_environment
from model_artifact.paths import check_name
from model_artifact.publish import publish, staging
from model_artifact.samples import Golden
from model_artifact.signature import Signature
from modelport.packing.answers import Answers, ask
from modelport.packing.baseline import describe_sample
from modelport.packing.describe import check_estimator, describe
from modelport.packing.draft import Draft
from modelport.packing.errors import PackRefused
from modelport.packing.features import FeaturesFile, read_features
from modelport.packing.files import FORMATS
from modelport.packing.golden import CANDIDATES, drawn_rows, golden_of, with_examples
from modelport.packing.packed import Packed
from modelport.packing.proof import Evidence
from modelport.packing.sample import Sample, read_sample

log = logging.getLogger("modelport")
PROOF_ROWS = 1000
GOLDEN, BASELINE = "golden.json", "baseline.json"


def pack(  # noqa: PLR0913 - each is a thing that a caller says
    estimator: Any,
    sample: Any,
    *,
    name: str,
    destination: str | Path,
    version: str = "1",
    features: Mapping[str, Any] | str | Path | None = None,
    labels: Sequence[str] | Mapping[Any, str] | None = None,
    formats: Sequence[str] = ("onnx", "joblib"),
    metadata: Mapping[str, Any] | None = None,
    keep_training_rows: bool = False,
    force: bool = False,
) -> Packed:
    """Pack a fitted scikit-learn estimator and publish it as `<destination>/<name>/<version>/`.

    The estimator is written in each of `formats`, and a format is kept when it answers up to 1000 rows of the sample as
    the estimator does: labels equal, scores within 1e-5. With `SOURCE_DATE_EPOCH` set, the same input gives the same
    bytes.

    Args:
        estimator: fitted; it has `predict`.
        sample: rows like those it was fitted on: DataFrame, array of shape (n, features), or n texts.
        name: of the model; 1 to 63 letters, digits, `.`, `_`, `-`.
        destination: the model root, such as a folder that is synchronised to a bucket.
        version: of the model, under the same rule as `name`.
        features: content or path of `features.yaml`: labels, features, rules, metadata.
        labels: what people call the classes, in the order of `classes_` or by class.
        formats: any of `onnx`, `skops`, `joblib`.
        metadata: free JSON: author, metrics, git revision.
        keep_training_rows: golden rows are taken from the sample instead of drawn from its distributions.
        force: replace other content under the same name and version.

    Returns:
        Where it is, its digest, its manifest, and notes on what was tried; `print` it for a summary.

    Raises:
        PackRefused: estimator, sample or features cannot be packed; the text says what to do.
        AlreadyPublished: name and version are taken by other content.
    """
    check_name(name)
    check_name(version, "version")
    _check_formats(formats)
    check_estimator(estimator)
    given = _merged(read_features(features), labels, metadata)
    log.info("reading the sample")
    table = read_sample(estimator, sample, given.features)
    answers = ask(estimator, table)
    signature = describe(estimator, table, answers, given)
    chosen = _usable(table, signature)
    golden = _golden(estimator, table.take(chosen), signature, keep_training_rows)
    signature = with_examples(signature, table, list(golden.inputs[0]))
    root = Path(destination)
    with staging(root) as folder:
        draft = Draft(folder, _identity(name, version, signature, given.metadata))
        draft.add(GOLDEN, strict.dumps(golden))
        draft.add(BASELINE, strict.dumps(describe_sample(table, signature, answers)))
        evidence = _evidence(table.take(chosen), _at(answers, chosen), golden, signature)
        for kind, attempts in FORMATS.items():
            if kind in formats:
                draft.add_format(kind, attempts(estimator, signature), evidence)
        draft.manifest()
        path = publish(folder, root, replace=force)
    bundle = open_bundle(path)
    return Packed(path, bundle.digest, bundle.manifest, tuple(draft.notes), dict(draft.proofs))


def _check_formats(formats: Sequence[str]) -> None:
    unknown = [kind for kind in formats if kind not in FORMATS]
    if unknown or not formats or isinstance(formats, str):
        raise PackRefused(f"formats: expected a list of {', '.join(FORMATS)}, got {formats!r}")


def _merged(
    given: FeaturesFile, labels: Sequence[str] | Mapping[Any, str] | None, metadata: Mapping[str, Any] | None
) -> FeaturesFile:
    merged = given.metadata | dict(metadata or {})
    try:
        json.dumps(merged, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PackRefused(f"metadata must be plain JSON values: {error}") from error
    return replace(given, labels=given.labels if labels is None else labels, metadata=merged)


def _usable(table: Sample, signature: Signature) -> list[int]:
    """Positions of up to 1000 rows, spread over the sample, that the signature accepts."""
    spread = np.unique(np.linspace(0, len(table) - 1, min(PROOF_ROWS, len(table))).astype(int)).tolist()
    coercer = RowCoercer(signature)
    usable, problems = [], list[Problem]()
    for position, row in zip(spread, table.take(spread).rows(), strict=True):
        before = len(problems)
        coercer.row(row, position, problems)
        if len(problems) == before:
            usable.append(position)
    if not usable:
        first = problems[0]
        raise PackRefused(
            f"no row of the sample meets the declared features and rules: in row {first.row}, {first.field} is "
            f"{first.got}, expected {first.expected}"
        )
    if problems:
        log.info(
            "%d of %d rows break the declared features or rules and prove nothing",
            len(spread) - len(usable),
            len(spread),
        )
    return usable


def _golden(estimator: Any, usable: Sample, signature: Signature, keep_training_rows: bool) -> Golden:
    rows = usable.rows()[:CANDIDATES] if keep_training_rows else drawn_rows(usable, signature)
    rows = _answerable(estimator, usable, rows)
    return golden_of(rows, ask(estimator, usable.build(rows)))


def _answerable(estimator: Any, usable: Sample, rows: list[Row]) -> list[Row]:
    """The rows that the estimator accepts: drawn ones can lie where it has nothing to say."""
    try:
        ask(estimator, usable.build(rows))
    except PackRefused as refused:
        found = [row for row in rows if _accepts(estimator, usable.build([row]))]
        if not found:
            raise PackRefused(
                f"{refused}; if it only accepts rows like the sample's own, use keep_training_rows"
            ) from refused
        return found
    return rows


def _accepts(estimator: Any, sample: Sample) -> bool:
    try:
        ask(estimator, sample)
    except PackRefused:
        return False
    return True


def _evidence(usable: Sample, answers: Answers, golden: Golden, signature: Signature) -> Evidence:
    rows = usable.rows() + [list(row) for row in golden.inputs]
    numeric = signature.task != "classification" and signature.outputs[0].dtype.startswith("float")
    return Evidence(rows, answers.plain() + list(golden.outputs), numeric)


def _at(answers: Answers, positions: list[int]) -> Answers:
    scores = answers.probabilities
    return Answers(answers.predictions[positions], None if scores is None else scores[positions])


def _identity(name: str, version: str, signature: Signature, metadata: dict[str, Any]) -> dict[str, object]:
    created = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC)
    return {
        "name": name,
        "version": version,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "framework": describe_environment(),
        "signature": signature,
        "golden": GOLDEN,
        "baseline": BASELINE,
        "metadata": metadata,
    }
