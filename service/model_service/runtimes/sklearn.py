"""scikit-learn estimators from joblib or skops files: the only place that unpickles, and only what policy allowed."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray

from model_artifact.coercion import Row
from model_artifact.signature import Feature, Layout, Output, Signature
from model_service.errors import LoadFailed
from model_service.runtimes.arrays import matrix
from model_service.runtimes.base import Answers, unnamed_signature_error
from model_service.runtimes.forests import mean_of_trees

PREDICTS_MOST_PROBABLE = frozenset(
    {"DecisionTreeClassifier", "ExtraTreesClassifier", "LogisticRegression", "RandomForestClassifier"}
)
"""scikit-learn's classifiers whose `predict` is the argmax of `predict_proba` by definition, wherever there is one."""

_PANDAS_NULLABLE = {"bool": "boolean", **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)}} | {
    f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)
}


def load_joblib(path: Path, signature: Signature | None, trusted: bool) -> "SklearnRuntime":
    """Unpickle an estimator; the caller has checked policy (`trusted`) and versions.

    Raises:
        LoadFailed: the file does not unpickle, or holds no estimator.
    """
    if not trusted:
        raise LoadFailed(f"{path.name} is not trusted")
    return _runtime(path, signature, lambda: joblib.load(path))


def load_skops(path: Path, signature: Signature | None, trusted: bool) -> "SklearnRuntime":
    """Load a skops file; types outside skops' own safe list are loaded only when policy trusts the file.

    Raises:
        LoadFailed: the file does not load, or holds types that are not trusted.
    """
    return _runtime(path, signature, lambda: skops.io.load(path, trusted=_skops_types(path, trusted)))


def _skops_types(path: Path, trusted: bool) -> list[str]:
    unknown = list(skops.io.get_untrusted_types(file=path))
    if unknown and not trusted:
        raise LoadFailed(
            f"{path.name} holds types that are not known to be safe ({', '.join(sorted(unknown)[:5])}). Pin it "
            "(MODELPORT_MODEL_DIGEST or MODELPORT_MODEL_SHA256) or set MODELPORT_ALLOW_PICKLE=true"
        )
    return unknown


def _runtime(path: Path, signature: Signature | None, read: Any) -> "SklearnRuntime":
    try:
        estimator = read()
    except LoadFailed:
        raise
    except Exception as error:  # a pickle can raise anything at all
        raise LoadFailed(f"{path.name} cannot be loaded: {type(error).__name__}: {str(error)[:300]}") from error
    if not callable(getattr(estimator, "predict", None)):
        raise LoadFailed(f"{path.name} holds a {type(estimator).__name__}, which has no predict method")
    return SklearnRuntime(estimator, signature or _describe(estimator))


class SklearnRuntime:
    """Calls `predict`, and `predict_proba` where the signature says the model has it."""

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self.signature = signature
        self._predict = mean_of_trees(estimator, "predict")
        if signature.has_probabilities:
            self._predict_proba = mean_of_trees(estimator, "predict_proba")
            self._classes = _classes_by_probability(estimator)

    def predict(self, rows: list[Row]) -> Answers:
        """Answer the rows; see `Runtime.predict`."""
        data = _BUILD[self.signature.layout](self.signature, rows)
        if not self.signature.has_probabilities:
            return Answers(np.asarray(self._predict(data)), None)
        probabilities = self._predict_proba(data)
        predictions = self._most_probable(probabilities)
        if predictions is None:
            predictions = np.asarray(self._predict(data))
        return Answers(predictions, probabilities)

    def _most_probable(self, probabilities: NDArray[Any]) -> NDArray[Any] | None:
        """The classes that `predict` would give, without computing everything twice; none where two are level."""
        if self._classes is None:
            return None
        highest = probabilities.max(axis=1, keepdims=True)
        if ((probabilities == highest).sum(axis=1) != 1).any():
            return None
        most_probable: NDArray[Any] = self._classes[probabilities.argmax(axis=1)]
        return most_probable


def _classes_by_probability(estimator: Any) -> NDArray[Any] | None:
    """The classes of an estimator known to predict the most probable one; none for others."""
    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    known = type(final).__module__.startswith("sklearn.") and type(final).__name__ in PREDICTS_MOST_PROBABLE
    classes = getattr(final, "classes_", None)
    return classes if known and isinstance(classes, np.ndarray) and classes.ndim == 1 else None


def _frame(signature: Signature, rows: list[Row]) -> pd.DataFrame:
    columns = zip(*rows, strict=True)
    data = {item.name: _series(item, list(values)) for item, values in zip(signature.inputs, columns, strict=True)}
    return pd.DataFrame(data)


def _series(feature: Feature, values: list[Any]) -> "pd.Series[Any]":
    if feature.categories is not None and feature.dtype == "string":
        return pd.Series(pd.Categorical(values, categories=list(feature.categories)))
    if feature.dtype == "any":
        return pd.Series([np.nan if value is None else value for value in values])
    if feature.dtype == "string":
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)
    if feature.nullable and feature.dtype in _PANDAS_NULLABLE:
        return pd.Series(values, dtype=_PANDAS_NULLABLE[feature.dtype])
    return pd.Series(values, dtype=feature.dtype)


def _matrix(signature: Signature, rows: list[Row]) -> NDArray[Any]:
    kinds: set[str] = {feature.dtype for feature in signature.inputs}
    if "string" in kinds:
        return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=object)
    common = kinds.pop() if len(kinds) == 1 else "float64"
    nullable = any(feature.nullable for feature in signature.inputs)
    return matrix(rows, "float64" if nullable and not common.startswith("float") else common)


def _vector(_: Signature, rows: list[Row]) -> list[Any]:
    return [row[0] for row in rows]


_BUILD: dict[Layout, Any] = {"frame": _frame, "matrix": _matrix, "vector": _vector}


def _describe(estimator: Any) -> Signature:
    """Signature of a bare estimator, from what scikit-learn keeps: names, their number, classes."""
    names = getattr(estimator, "feature_names_in_", None)
    count = getattr(estimator, "n_features_in_", None)
    if names is not None:
        inputs, layout = tuple(Feature(str(name), "any", nullable=True) for name in names), "frame"
    elif isinstance(count, int):
        inputs, layout = tuple(Feature(f"x{index}", "float64") for index in range(count)), "matrix"
    elif count is None and hasattr(estimator, "steps"):
        inputs, layout = (Feature("text", "string"),), "vector"
    else:
        raise LoadFailed(unnamed_signature_error(type(estimator).__name__))
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list):
        return Signature("other", layout, inputs, (Output("prediction", "any"),))  # type: ignore[arg-type]
    outputs = [Output("prediction", "any")]
    if hasattr(estimator, "predict_proba"):
        outputs.append(Output("probabilities", "float64", (len(classes),)))
    values = tuple(classes.tolist())
    return Signature("classification", layout, inputs, tuple(outputs), values, tuple(map(str, values)))  # type: ignore[arg-type]
