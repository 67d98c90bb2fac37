"""What the sample looked like, in counts: for drift, and for drawing golden rows that are nobody's data.

Values that occur once, and texts that look like free text, are counted but never written down; ranges are rounded.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_artifact.samples import Baseline, Distribution, Histogram
from model_artifact.signature import Signature
from modelport.packing.answers import Answers
from modelport.packing.dtypes import dtype_of
from modelport.packing.sample import Sample, json_values

if TYPE_CHECKING:
    import pandas as pd

BINS = 20
MAX_CATEGORIES = 50
MIN_COUNT = 2
"""A value that fewer rows share could be one person's."""
OTHER = "other"
PROBABILITY_EDGES = np.linspace(0.0, 1.0, 11)


def describe_sample(sample: Sample, signature: Signature, answers: Answers) -> Baseline:
    """Distributions of every feature, of the predictions, and of each class's probability."""
    features = {name: describe_column(sample.table[name]) for name in sample.table.columns}
    return Baseline(features, _predictions(signature, answers))


def describe_column(column: "pd.Series[Any]") -> Distribution:
    """Moments and a histogram of numbers; counts of the common values of texts and booleans, none of free text."""
    missing = int(column.isna().sum())
    dtype = dtype_of(column)
    if dtype in {"bool", "string"}:
        values = [value for value in json_values(column) if value is not None]
        counts = {} if dtype == "string" and is_free_text(values) else common_values(values)
        return Distribution(len(column), missing, categories={_text(key): count for key, count in counts.items()})
    return describe_numbers(column.dropna().to_numpy(dtype=float), missing)


def describe_numbers(values: NDArray[np.float64], missing: int = 0, edges: Any = BINS) -> Distribution:
    """Moments and a histogram; `edges` is a number of equal bins or the edges themselves."""
    if not len(values):
        return Distribution(missing, missing)
    counts, found = np.histogram(values, bins=edges, range=_rounded_range(values))
    return Distribution(
        len(values) + missing,
        missing,
        float(values.mean()),
        float(values.std()),
        Histogram(tuple(found.tolist()), tuple(counts.tolist())),
    )


def _rounded_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """The range widened to three digits of its span: the extremes are somebody's values."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, high
    digits = 2 - math.floor(math.log10(high - low))
    step = 10.0**-digits
    return min(low, round(math.floor(low / step) * step, digits)), max(
        high, round(math.ceil(high / step) * step, digits)
    )


def is_free_text(values: list[str]) -> bool:
    """Whether most values are someone's own words or identifiers rather than categories."""
    return len(set(values)) > max(1, len(values) // 2)


def common_values(values: list[Any]) -> dict[Any, int]:
    """Counts of the values that several rows share, most frequent first; all others together as `other`."""
    counts = Counter(values)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    kept = {value: count for value, count in ordered[:MAX_CATEGORIES] if count >= MIN_COUNT}
    rest = len(values) - sum(kept.values())
    return kept | ({OTHER: kept.get(OTHER, 0) + rest} if rest else {})


def _predictions(signature: Signature, answers: Answers) -> dict[str, Distribution]:
    predictions = answers.predictions
    if predictions.ndim > 1:
        return {f"prediction:{index}": _output(signature, values) for index, values in enumerate(predictions.T)}
    found = {"prediction": _output(signature, predictions)}
    if answers.probabilities is not None:
        for label, values in zip(signature.labels, answers.probabilities.T, strict=True):
            found[f"probability:{label}"] = describe_numbers(np.clip(values, 0.0, 1.0), 0, PROBABILITY_EDGES)
    return found


def _output(signature: Signature, values: NDArray[Any]) -> Distribution:
    if signature.outputs[0].dtype.startswith("float") and signature.task != "classification":
        numbers = values.astype(float)
        known = numbers[np.isfinite(numbers)]
        return describe_numbers(known, len(numbers) - len(known))
    return Distribution(len(values), categories=dict(Counter(signature.label(value) for value in values.tolist())))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
