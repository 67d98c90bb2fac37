"""`pack`: from a fitted estimator and a few rows to a published bundle, with nothing in it that was not measured."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model_artifact import strict
from model_artifact.bundle import open_bundle
from model_artifact.framework import describe_environment
from model_artifact.paths import check_name
from model_artifact.publish import publish, staging
from model_artifact.signature import Signature
from modelport.packing.answers import ask
from modelport.packing.baseline import describe_sample
from modelport.packing.describe import check_estimator, describe
from modelport.packing.draft import Draft
from modelport.packing.errors import PackRefused
from modelport.packing.evidence import gather
from modelport.packing.features import FeaturesFile, plain_json, read_features
from modelport.packing.files import FORMATS
from modelport.packing.golden import with_examples
from modelport.packing.hooks import HOOKS, read_hooks, through_hooks
from modelport.packing.packed import Packed
from modelport.packing.sample import read_sample

log = logging.getLogger("modelport")
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
    hooks: str | Path | None = None,
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
        hooks: Python file with `preprocess(rows)` or `postprocess(answers)`, which run with the model.
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
    created = _created()
    given = _merged(read_features(features), labels, metadata)
    log.info("reading the sample")
    table = read_sample(estimator, sample, given.features)
    answers = ask(estimator, table)
    signature = describe(estimator, table, answers, given)
    golden, evidence = gather(estimator, table, answers, signature, keep_training_rows=keep_training_rows)
    signature = with_examples(signature, table, list(golden.inputs[0]))
    root = Path(destination)
    with staging(root) as folder:
        draft = Draft(folder, _identity(name, version, created, signature, given.metadata))
        draft.add(GOLDEN, strict.dumps(golden))
        draft.add(BASELINE, strict.dumps(describe_sample(table, signature, answers)))
        if hooks is not None:
            draft.add(HOOKS, read_hooks(hooks))
            draft.identity["hooks"] = HOOKS
        for kind, attempts in FORMATS.items():
            if kind in formats:
                draft.add_format(kind, attempts(estimator, signature), evidence)
        manifest = draft.manifest()
        if hooks is not None:
            draft.add(GOLDEN, strict.dumps(through_hooks(folder, manifest.formats[0].kind, golden)))
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
    merged = given.metadata | plain_json(metadata or {}, "metadata")
    return replace(given, labels=given.labels if labels is None else labels, metadata=merged)


def _created() -> str:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.fromtimestamp(int(given or time.time()), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise PackRefused(
            f"SOURCE_DATE_EPOCH={given!r}: expected whole seconds since 1970; unset it to have the present time"
        ) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _identity(
    name: str, version: str, created: str, signature: Signature, metadata: dict[str, Any]
) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "created": created,
        "framework": describe_environment(),
        "signature": signature,
        "golden": GOLDEN,
        "baseline": BASELINE,
        "metadata": metadata,
    }
