"""scikit-learn estimators from joblib or skops files: the only place that unpickles, and only what policy allowed."""

from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray

from model_artifact.signature import Feature, Layout, Output, Signature
from model_service.errors import LoadFailed
from model_service.runtimes.arrays import matrix
from model_service.runtimes.base import Answers, Rows, unnamed_signature_error
from model_service.runtimes.forests import mean_of_trees
from model_service.runtimes.linear import shortcut

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
        self._build = partial(_BUILD[signature.layout], signature)
        self._predict = mean_of_trees(estimator, "predict")
        method = "predict_proba" if signature.has_probabilities else "predict"
        self._asked = mean_of_trees(estimator, method)
        self._shortcut = shortcut(estimator, method, signature, lambda rows: self._asked(self._build(rows)))
        self._classes = _classes_by_probability(estimator) if signature.has_probabilities else None

    def predict(self, rows: Rows) -> Answers:
        """Answer the rows; see `Runtime.predict`."""
        data = None
        found = None if self._shortcut is None else self._shortcut(rows)
        if found is None:
            data = self._build(rows)
            found = self._asked(data)
        if not self.signature.has_probabilities:
            return Answers(np.asarray(found), None)
        predictions = self._most_probable(found)
        if predictions is None:
            predictions = np.asarray(self._predict(self._build(rows) if data is None else data))
        return Answers(predictions, found)

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


def _frame(signature: Signature, rows: Rows) -> pd.DataFrame:
    columns = rows.T if isinstance(rows, np.ndarray) else [list(values) for values in zip(*rows, strict=True)]
    data = {item.name: _series(item, values) for item, values in zip(signature.inputs, columns, strict=True)}
    return pd.DataFrame(data)


def _series(feature: Feature, values: list[Any] | NDArray[Any]) -> "pd.Series[Any]":
    if feature.categories is not None and feature.dtype == "string":
        return pd.Series(pd.Categorical(values, categories=list(feature.categories)))
    if feature.dtype == "any":
        return pd.Series([np.nan if value is None else value for value in values])
    if feature.dtype == "string":
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)
    if feature.nullable and feature.dtype in _PANDAS_NULLABLE:
        return pd.Series(values, dtype=_PANDAS_NULLABLE[feature.dtype])
    return pd.Series(values, dtype=feature.dtype)


def _matrix(signature: Signature, rows: Rows) -> NDArray[Any]:
    kinds: set[str] = {feature.dtype for feature in signature.inputs}
    if "string" in kinds:
        return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=object)
    common = kinds.pop() if len(kinds) == 1 else "float64"
    nullable = any(feature.nullable for feature in signature.inputs)
    return matrix(rows, "float64" if nullable and not common.startswith("float") else common)


def _vector(_: Signature, rows: Rows) -> list[Any]:
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
