"""Estimators that the converter does not know, as others that it does and that answer the same.

Each entry takes a fitted copy and returns a fitted estimator with the same answers, or the copy itself where there is
no such thing. Nothing here is trusted: what comes out is proven against the original like any other graph.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted

from model_artifact.dtypes import NULL_TEXT

BOOSTING_START = "init_"
"""Where gradient boosting keeps the dummy it starts from, which its converter reads by itself."""


def equivalent(estimator: Any) -> Any:
    """Return a copy in which every estimator, at any depth, is one the converter knows if it has such an equal."""
    return _walk(copy.deepcopy(estimator))


def estimators(value: Any) -> Iterator[Any]:
    """Every estimator inside `value`, at any depth, itself included."""
    if isinstance(value, BaseEstimator):
        yield value
        value = list(vars(value).values())
    elif isinstance(value, dict):
        value = list(value.values())
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        value = value.ravel().tolist()
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from estimators(item)


def _walk(value: Any) -> Any:
    if isinstance(value, BaseEstimator):
        for name, inner in vars(value).items():
            if name != BOOSTING_START and isinstance(inner, (BaseEstimator, list, tuple, dict)):
                setattr(value, name, _walk(inner))
        found = _EQUIVALENTS.get(type(value).__name__)
        return found(value) if found and _is_fitted(value) else value
    if isinstance(value, list):
        return [_walk(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_walk(item) for item in value)
    if isinstance(value, dict):
        return {key: _walk(item) for key, item in value.items()}
    return value


def _is_fitted(estimator: Any) -> bool:
    """Meta-estimators keep the unfitted templates of what they fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _inner(attribute: str) -> Callable[[Any], Any]:
    return lambda estimator: getattr(estimator, attribute)


def _linear(coef: Any, intercept: Any, width: int) -> LinearRegression:
    model = LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = coef, intercept, width
    return model


def _logistic(coef: Any, intercept: Any, classes: Any) -> LogisticRegression:
    """Softmax over one linear score a class; of two classes the converter wants the difference alone."""
    model = LogisticRegression()
    if len(classes) == 2:
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_features_in_ = coef.shape[1]
    return model


def _dummy_regressor(estimator: Any) -> Any:
    constant = estimator.constant_.ravel()
    width = estimator.n_features_in_
    if len(constant) == 1:
        return _linear(np.zeros(width), constant[0], width)
    return _linear(np.zeros((len(constant), width)), constant, width)


def _dummy_classifier(estimator: Any) -> Any:
    if estimator.strategy != "prior" or estimator.n_outputs_ > 1:
        return estimator
    prior = np.log(estimator.class_prior_)
    return _logistic(np.zeros((len(prior), estimator.n_features_in_)), prior, estimator.classes_)


def _nearest_centroid(estimator: Any) -> Any:
    """Squared distances differ between classes only by terms that are linear in x."""
    if estimator.metric != "euclidean":
        return estimator
    scale = np.where(estimator.within_class_std_dev_ != 0, estimator.within_class_std_dev_, 1.0)
    centres = estimator.centroids_ / scale
    return _logistic(
        2 * centres / scale, 2 * np.log(estimator.class_prior_) - (centres**2).sum(axis=1), estimator.classes_
    )


def _kernel_ridge(estimator: Any) -> Any:
    data, dual = estimator.X_fit_, estimator.dual_coef_
    width = data.shape[1]
    if estimator.kernel == "linear":
        return _linear(dual.T @ data, np.zeros(dual.shape[1]) if dual.ndim > 1 else np.float64(0), width)
    if estimator.kernel != "rbf" or dual.ndim > 1:
        return estimator
    gamma = 1.0 / width if estimator.gamma is None else estimator.gamma
    model = GaussianProcessRegressor(RBF(np.sqrt(0.5 / gamma)))
    model.kernel_, model.X_train_, model.alpha_, model.n_features_in_ = model.kernel, data, dual, width
    model._y_train_mean, model._y_train_std = np.zeros(1), np.ones(1)  # noqa: SLF001 - what its predict reads
    return model


def _isotonic(estimator: Any) -> Any:
    """A piecewise linear function is a sum of hinges, one hidden unit each, and flat beyond its ends when clipped."""
    x, y = estimator.X_thresholds_, estimator.y_thresholds_
    if estimator.out_of_bounds != "clip" or len(x) < 2:
        return estimator
    slopes = np.diff(y) / np.diff(x)
    model = MLPRegressor((len(x),), activation="relu")
    model.coefs_ = [np.ones((1, len(x))), np.diff(slopes, prepend=0.0, append=0.0)[:, None]]
    model.intercepts_ = [-x, y[:1]]
    model.n_layers_, model.n_outputs_, model.out_activation_, model.n_features_in_ = 3, 1, "identity", 1
    return model


def _transformed_target(estimator: Any) -> Any:
    plain = estimator.func is None and estimator.inverse_func is None and estimator.transformer is None
    return estimator.regressor_ if plain and estimator._training_dim == 1 else estimator  # noqa: SLF001


def _voting(estimator: Any) -> Any:
    estimator.flatten_transform = False  # concerns transform alone
    return estimator


def _text_imputer(estimator: Any) -> Any:
    if estimator.statistics_.dtype.kind == "O" and _is_nan(estimator.missing_values):
        estimator.missing_values = NULL_TEXT
    return estimator


def _text_categories(estimator: Any) -> Any:
    estimator.categories_ = [
        np.array([NULL_TEXT if item is None or _is_nan(item) else item for item in values], dtype=object)
        if values.dtype.kind == "O"
        else values
        for values in estimator.categories_
    ]
    return estimator


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)


_EQUIVALENTS: dict[str, Callable[[Any], Any]] = {
    "DummyClassifier": _dummy_classifier,
    "DummyRegressor": _dummy_regressor,
    "FrozenEstimator": _inner("estimator"),
    "GridSearchCV": _inner("best_estimator_"),
    "HalvingGridSearchCV": _inner("best_estimator_"),
    "HalvingRandomSearchCV": _inner("best_estimator_"),
    "IsotonicRegression": _isotonic,
    "KernelRidge": _kernel_ridge,
    "NearestCentroid": _nearest_centroid,
    "OneHotEncoder": _text_categories,
    "RandomizedSearchCV": _inner("best_estimator_"),
    "SelfTrainingClassifier": _inner("estimator_"),
    "SimpleImputer": _text_imputer,
    "TransformedTargetRegressor": _transformed_target,
    "VotingClassifier": _voting,
}
