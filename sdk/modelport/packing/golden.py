"""Golden rows: inputs with known answers, drawn from the distributions of the sample rather than taken from it."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from model_artifact.coercion import Problem, Row, RowCoercer
from model_artifact.samples import Golden
from model_artifact.signature import Feature, Signature
from modelport.packing.answers import Answers
from modelport.packing.baseline import MAX_CATEGORIES, MIN_COUNT, OTHER, common_values, describe_column, is_free_text
from modelport.packing.errors import PackRefused
from modelport.packing.sample import Sample, json_values

ROWS = 8
CANDIDATES = 64
TRIES = 5000
MIN_MARGIN = 1e-3
"""Rows nearer to a tie than this are left out: their label could differ between processors."""
WORDS = 8
FREQUENT_WORDS = 100

Draw = Callable[[np.random.Generator], Any]


def drawn_rows(sample: Sample, signature: Signature) -> list[Row]:
    """Draw rows that the signature accepts, column by column, always the same for the same sample.

    Raises:
        PackRefused: the constraints and rules leave nothing to draw.
    """
    generator = np.random.default_rng(20240229)
    draws = [_draw(feature, sample.table[feature.name]) for feature in signature.inputs]
    coercer = RowCoercer(signature)
    rows: list[Row] = []
    problems: list[Problem] = []
    for _ in range(TRIES):
        before = len(problems)
        row = coercer.row([draw(generator) for draw in draws], 0, problems)
        if len(problems) == before:
            rows.append(row)
        if len(rows) == CANDIDATES:
            break
    if not rows:
        worst = problems[-1]
        raise PackRefused(
            f"no row can be drawn that meets the declared constraints and rules (the last one failed on {worst.field}: "
            f"{worst.expected}); check them against the sample, or pack with keep_training_rows"
        )
    return rows


def empty_text_rows(rows: list[Row], signature: Signature) -> list[Row]:
    """Rows again with an empty text in place of each nullable text in turn, as far as the signature takes them.

    An empty text is easily taken for a missing one, and samples seldom hold both.
    """
    texts = [at for at, feature in enumerate(signature.inputs) if feature.nullable and feature.dtype == "string"]
    if not texts:
        return []
    coercer = RowCoercer(signature)
    found = []
    for row, at in product(rows[: max(1, CANDIDATES // len(texts))], texts):
        problems: list[Problem] = []
        changed = coercer.row([*row[:at], "", *row[at + 1 :]], 0, problems)
        if not problems:
            found.append(changed)
    return found


def clear_calls(answers: Answers) -> list[int]:
    """Positions of the answers that are not close calls."""
    clear: list[int] = np.flatnonzero(answers.margin() >= MIN_MARGIN).tolist()
    return clear


def golden_of(rows: list[Row], answers: Answers) -> Golden:
    """Keep up to eight of the answered rows, those whose answer is not a close call."""
    clear = clear_calls(answers)[:ROWS] or [0]
    plain = answers.plain()
    return Golden(tuple(tuple(rows[index]) for index in clear), tuple(plain[index] for index in clear))


def with_examples(signature: Signature, sample: Sample, fallback: Row) -> Signature:
    """Give every feature without an example a typical value, or that of `fallback` where those break a rule."""
    typical = [
        feature.example if feature.example is not None else _typical(sample.table[feature.name], drawn)
        for feature, drawn in zip(signature.inputs, fallback, strict=True)
    ]
    problems: list[Problem] = []
    RowCoercer(signature).row(list(typical), 0, problems)
    inputs = tuple(
        replace(feature, example=feature.example if feature.example is not None else drawn if problems else value)
        for feature, value, drawn in zip(signature.inputs, typical, fallback, strict=True)
    )
    return replace(signature, inputs=inputs)


def _typical(column: "pd.Series[Any]", drawn: Any) -> Any:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and column.notna().any():
        median = float(column.median())
        return round(median) if pd.api.types.is_integer_dtype(column) else _short(median)
    common = [value for value in common_values(_known(column)) if value != OTHER]
    return common[0] if common and not _is_text(column) else drawn


def _draw(feature: Feature, column: "pd.Series[Any]") -> Draw:
    known = _known(column)
    draw = _draw_known(feature, column, known)
    if not feature.nullable:
        return draw
    share = 1 - len(known) / len(column)
    return lambda generator: None if generator.random() < share else draw(generator)


def _draw_known(feature: Feature, column: "pd.Series[Any]", known: list[Any]) -> Draw:
    if not known:
        return lambda _: feature.categories[0] if feature.categories else feature.example
    if feature.dtype == "string":
        if _is_text(column) and not feature.categories:
            return _draw_text(known)
        return _draw_common(known, feature.categories)
    whole = all(float(value).is_integer() for value in known)
    codes = whole and len(set(known)) <= min(MAX_CATEGORIES, len(known) // MIN_COUNT)
    if feature.dtype == "bool" or codes or feature.categories:
        return _draw_common(known, feature.categories)
    return _draw_number(column, whole)


def _draw_common(known: list[Any], categories: tuple[Any, ...] | None) -> Draw:
    counts = {value: count for value, count in common_values(known).items() if value in known}
    counts = counts or dict.fromkeys(categories or sorted(set(known)), 1)
    values = list(counts)
    shares = np.array(list(counts.values())) / sum(counts.values())
    return lambda generator: values[int(generator.choice(len(values), p=shares))]


def _draw_number(column: "pd.Series[Any]", whole: bool) -> Draw:
    histogram = describe_column(column).histogram
    if histogram is None:
        raise PackRefused(f"column {column.name!r} has no values to draw from")
    shares = np.array(histogram.counts) / sum(histogram.counts)

    def draw(generator: np.random.Generator) -> int | float:
        index = int(generator.choice(len(shares), p=shares))
        low, high = histogram.edges[index], histogram.edges[index + 1]
        if whole:
            return int(generator.integers(math.ceil(low), math.floor(high) + 1))
        return _short(float(generator.uniform(low, high)))

    return draw


def _draw_text(known: list[str]) -> Draw:
    words = list(_frequent_words(known)) or ["text"]
    return lambda generator: " ".join(words[int(index)] for index in generator.integers(len(words), size=WORDS))


def _frequent_words(texts: list[str]) -> Iterator[str]:
    """Words that several texts share: never a name or number that only one of them holds."""
    counts = Counter(word for text in texts for word in set(re.findall(r"[^\W\d_]{2,}", text.lower())))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return (word for word, count in ordered[:FREQUENT_WORDS] if count >= MIN_COUNT)


def _is_text(column: "pd.Series[Any]") -> bool:
    known = _known(column)
    return bool(known) and isinstance(known[0], str) and is_free_text(known)


def _known(column: "pd.Series[Any]") -> list[Any]:
    return [value for value in json_values(column) if value is not None]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
