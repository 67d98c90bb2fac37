"""The signature: what the estimator takes, learnt from the sample and declared features, and what it gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from model_artifact.errors import ManifestInvalid
from model_artifact.signature import Feature, Output, Rule, Signature, Task
from modelport.packing.answers import Answers
from modelport.packing.dtypes import dtype_of, dtype_of_array
from modelport.packing.errors import PackRefused
from modelport.packing.features import FeaturesFile, FeatureSpec
from modelport.packing.sample import Sample, json_values


def check_estimator(estimator: Any) -> None:
    """Refuse what cannot be served.

    Raises:
        PackRefused: not an estimator, a transformer, or not fitted.
    """
    kind = type(estimator).__name__
    if isinstance(estimator, type):
        raise PackRefused(f"{estimator.__name__} is a class; create it and fit it first")
    if not callable(getattr(estimator, "predict", None)):
        transformer = hasattr(estimator, "transform")
        why = (
            "it is a transformer: pack the pipeline that ends in a predictor" if transformer else "it cannot be served"
        )
        raise PackRefused(f"{kind} has no predict method; {why}")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise PackRefused(f"{kind} is not fitted; call fit before packing") from error
    except (TypeError, AttributeError) as error:
        raise PackRefused(f"{kind} is not a scikit-learn estimator: {error}") from error


def describe(estimator: Any, sample: Sample, answers: Answers, given: FeaturesFile) -> Signature:
    """Build the signature.

    Args:
        estimator: fitted.
        sample: arranged as it was fitted.
        answers: the estimator's, to the sample.
        given: declared features, labels and rules.

    Raises:
        PackRefused: a declared value breaks its own feature's rules, labels do not fit the classes, a name is reserved
            or used twice, or an expression is broken.
    """
    classes = _classes(estimator, answers)
    try:
        return Signature(
            _task(estimator),
            sample.layout,
            tuple(_feature(sample.table[name], given.features.get(name)) for name in sample.table.columns),
            tuple(_outputs(answers)),
            classes,
            _labels(given.labels, classes),
            tuple(Rule(rule.expr, rule.message) for rule in given.rules),
        )
    except ManifestInvalid as error:
        raise PackRefused(str(error)) from error


def _task(estimator: Any) -> Task:
    return "classification" if is_classifier(estimator) else "regression" if is_regressor(estimator) else "other"


def _outputs(answers: Answers) -> list[Output]:
    predictions = answers.predictions
    outputs = [Output("prediction", dtype_of_array(predictions), predictions.shape[1:])]
    if answers.probabilities is not None:
        outputs.append(Output("probabilities", "float64", answers.probabilities.shape[1:]))
    return outputs


def _classes(estimator: Any, answers: Answers) -> tuple[Any, ...]:
    classes = getattr(estimator, "classes_", None)
    single = is_classifier(estimator) and isinstance(classes, np.ndarray) and answers.predictions.ndim == 1
    return tuple(classes.tolist()) if single else ()  # type: ignore[union-attr]


def _labels(given: Any, classes: tuple[Any, ...]) -> tuple[str, ...]:
    if given is None:
        return tuple(str(value) for value in classes)
    if not classes:
        raise PackRefused("labels were given and the estimator has no single list of classes; leave them out")
    if isinstance(given, Mapping):
        by_text = {str(value): str(label) for value, label in given.items()}
        strange = sorted(set(by_text) - {str(value) for value in classes})
        if strange:
            raise PackRefused(f"labels: {strange[0]!r} is not a class; the classes are {_listed(classes)}")
        return tuple(by_text.get(str(value), str(value)) for value in classes)
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(classes):
        raise PackRefused(f"labels: expected {len(classes)} texts, one for each of the classes {_listed(classes)}")
    return tuple(str(label) for label in given)


def _listed(classes: tuple[Any, ...]) -> str:
    return ", ".join(repr(value) for value in classes[:20])


def _feature(column: "pd.Series[Any]", spec: FeatureSpec | None) -> Feature:
    spec = spec or FeatureSpec()
    return Feature(
        name=str(column.name),
        dtype=dtype_of(column),
        nullable=bool(column.isna().any()) if spec.nullable is None else spec.nullable,
        default=spec.default,
        computed=spec.computed,
        ge=spec.ge,
        le=spec.le,
        gt=spec.gt,
        lt=spec.lt,
        categories=spec.categories or _categories(column),
        description=spec.description,
        example=spec.example,
    )


def _categories(column: "pd.Series[Any]") -> tuple[Any, ...] | None:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return None
    return tuple(json_values(pd.Series(column.dtype.categories)))
