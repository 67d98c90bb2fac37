"""The cases of the estimator table: every scikit-learn classifier and regressor, and pipelines as people build them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

Data = tuple[Any, Any]
Make = Callable[[], tuple[Any, Data]]


@dataclass(frozen=True)
class Case:
    """A name, its group in the table, and how to make the unfitted estimator with its data."""

    name: str
    group: str
    make: Make


def cases() -> Iterator[Case]:
    """Every case, classifiers first."""
    for group in ("classifier", "regressor"):
        for name, kind in all_estimators(type_filter=group):
            yield Case(name, group, lambda name=name, kind=kind, group=group: (_new(name, kind), _data(name, group)))
    for name, make in PIPELINES.items():
        yield Case(name, "pipeline", make)


def _logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=5000)


CLASSIFIER_BASES = (
    "ClassifierChain",
    "FixedThresholdClassifier",
    "MultiOutputClassifier",
    "OneVsOneClassifier",
    "OneVsRestClassifier",
    "OutputCodeClassifier",
    "SelfTrainingClassifier",
    "TunedThresholdClassifierCV",
)
ARGUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    **dict.fromkeys(CLASSIFIER_BASES, lambda: {"estimator": _logistic()}),
    "IsotonicRegression": lambda: {"out_of_bounds": "clip"},
    "MultiOutputRegressor": lambda: {"estimator": Ridge()},
    "RegressorChain": lambda: {"estimator": Ridge()},
    "StackingClassifier": lambda: {"estimators": [("logistic", _logistic())]},
    "StackingRegressor": lambda: {"estimators": [("ridge", Ridge())]},
    "VotingClassifier": lambda: {"estimators": [("logistic", _logistic())], "voting": "soft"},
    "VotingRegressor": lambda: {"estimators": [("ridge", Ridge())]},
}
"""Everything else is made with its defaults, and a fixed seed."""


def _new(name: str, kind: Any) -> Any:
    estimator = kind(**ARGUMENTS.get(name, dict)())
    seeded = "random_state" in estimator.get_params(deep=False)
    return estimator.set_params(random_state=0) if seeded else estimator


def _binary() -> Data:
    return datasets.load_breast_cancer(return_X_y=True)


def _iris() -> Data:
    return datasets.load_iris(return_X_y=True)


def _two_classes() -> Data:
    rows, target = _iris()
    return rows[:100], target[:100]


def _two_labels() -> Data:
    rows, target = _iris()
    return rows, np.column_stack([target > 0, target > 1]).astype(int)


def _part_labelled() -> Data:
    rows, target = _iris()
    return rows, np.where(np.arange(len(target)) % 5 == 0, -1, target)


def _diabetes() -> Data:
    return datasets.load_diabetes(return_X_y=True)


def _two_targets() -> Data:
    return datasets.load_linnerud(return_X_y=True)


def _one_number() -> Data:
    rows, target = _diabetes()
    return rows[:, 2], target


DATA: dict[str, Callable[[], Data]] = {
    "CCA": _two_targets,
    "ClassifierChain": _two_labels,
    "FixedThresholdClassifier": _binary,
    "GaussianProcessClassifier": _two_classes,
    "IsotonicRegression": _one_number,
    "KNeighborsClassifier": lambda: datasets.load_wine(return_X_y=True),
    "MultiOutputClassifier": _two_labels,
    "SelfTrainingClassifier": _part_labelled,
    "TunedThresholdClassifierCV": _binary,
    **dict.fromkeys(
        (
            "MultiOutputRegressor",
            "MultiTaskElasticNet",
            "MultiTaskElasticNetCV",
            "MultiTaskLasso",
            "MultiTaskLassoCV",
            "PLSCanonical",
            "RegressorChain",
        ),
        _two_targets,
    ),
}


def _data(name: str, group: str) -> Data:
    return DATA.get(name, _iris if group == "classifier" else _diabetes)()


def passengers(count: int = 400) -> tuple[pd.DataFrame, Any]:
    """A made-up passenger list: texts, numbers and missing values of both, with an answer that depends on them."""
    random = np.random.default_rng(7)
    age = random.normal(35, 14, count).clip(1, 80).round(1)
    table = pd.DataFrame(
        {
            "sex": random.choice(["female", "male"], count),
            "age": np.where(random.random(count) < 0.2, np.nan, age),
            "fare": random.gamma(2, 20, count).round(2),
            "siblings": random.integers(0, 4, count),
            "port": np.where(random.random(count) < 0.1, None, random.choice(["C", "Q", "S"], count)),
            "cabin": random.choice(["first", "second", "third"], count, p=[0.2, 0.3, 0.5]),
        }
    )
    score = (table["sex"] == "female") * 2.0 + (table["cabin"] == "first") - age / 40 + random.normal(0, 0.5, count)
    return table, np.where(score > score.median(), "survived", "died")


def reviews() -> Data:
    """Sentences written for this table."""
    subjects = ("the room", "our dinner", "this phone", "the film", "their service", "my ticket")
    good, bad = ("great", "lovely", "fast", "excellent"), ("awful", "slow", "broken", "terrible")
    texts = [f"{subject} was {word} and I say so" for subject in subjects for word in good + bad]
    return texts, ["good" if any(word in text for word in good) else "bad" for text in texts]


def _table_pipeline(model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "fare", "siblings"]),
            ("texts", texts, ["sex", "port", "cabin"]),
        ]
    )
    return make_pipeline(columns, model)


def _named(load: Callable[..., Any]) -> Data:
    data = load(as_frame=True)
    return data.data, data.target


def _boosted_categories() -> tuple[Any, Data]:
    table, target = passengers()
    table = table.astype(dict.fromkeys(["sex", "port", "cabin"], "category"))
    return HistGradientBoostingClassifier(random_state=0), (table, target)


def _voting() -> Any:
    members = [("logistic", _logistic()), ("forest", RandomForestClassifier(20, random_state=0))]
    return make_pipeline(StandardScaler(), VotingClassifier(members, voting="soft"))


def _stacking() -> Any:
    members = [
        ("logistic", make_pipeline(StandardScaler(), _logistic())),
        ("forest", RandomForestClassifier(20, random_state=0)),
    ]
    return StackingClassifier(members, final_estimator=_logistic())


def _selected() -> Any:
    columns = ColumnTransformer([("all", StandardScaler(), make_column_selector(dtype_include="number"))])
    return make_pipeline(columns, _logistic())


PIPELINES: dict[str, Make] = {
    "columns of texts, numbers, missing values + logistic": lambda: (_table_pipeline(_logistic()), passengers()),
    "columns of texts, numbers, missing values + forest": lambda: (
        _table_pipeline(RandomForestClassifier(51, random_state=0)),
        passengers(),
    ),
    "boosted histograms over categories": _boosted_categories,
    "TF-IDF + logistic": lambda: (make_pipeline(TfidfVectorizer(), _logistic()), reviews()),
    "TF-IDF of word pairs + logistic": lambda: (
        make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), _logistic()),
        reviews(),
    ),
    "selected columns, scaled + logistic": lambda: (_selected(), _named(datasets.load_wine)),
    "polynomial features + ridge": lambda: (make_pipeline(PolynomialFeatures(2), Ridge()), _diabetes()),
    "grid search of scaled SVC": lambda: (
        GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1.0]}, cv=3),
        _named(datasets.load_breast_cancer),
    ),
    "calibrated forest": lambda: (
        CalibratedClassifierCV(RandomForestClassifier(20, random_state=0), cv=3),
        _named(datasets.load_breast_cancer),
    ),
    "stacking of scaled logistic and forest": lambda: (_stacking(), _named(datasets.load_breast_cancer)),
    "soft voting of logistic and forest, scaled": lambda: (_voting(), _named(datasets.load_breast_cancer)),
    "several outputs of forests": lambda: (
        MultiOutputRegressor(RandomForestRegressor(20, random_state=0)),
        _named(datasets.load_linnerud),
    ),
}
