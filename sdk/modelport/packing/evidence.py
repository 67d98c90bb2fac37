"""The rows that prove a format, and those that every worker will answer: of the sample, drawn, and with empty texts."""

import logging
from typing import Any

import numpy as np

from model_artifact.coercion import Problem, Row, RowCoercer
from model_artifact.samples import Golden
from model_artifact.signature import Signature
from modelport.packing.answers import Answers, ask
from modelport.packing.errors import PackRefused
from modelport.packing.golden import CANDIDATES, ROWS, clear_calls, drawn_rows, empty_text_rows, golden_of
from modelport.packing.proof import Evidence
from modelport.packing.sample import Sample

log = logging.getLogger("modelport")
PROOF_ROWS = 1000


def gather(
    estimator: Any, sample: Sample, answers: Answers, signature: Signature, *, keep_training_rows: bool
) -> tuple[Golden, Evidence]:
    """Choose the golden rows, and the evidence that every format is measured by.

    Args:
        estimator: fitted.
        sample: the whole of it.
        answers: the estimator's, to the sample.
        signature: what rows must meet.
        keep_training_rows: golden rows are taken from the sample instead of drawn from its distributions.

    Raises:
        PackRefused: no row of the sample meets the signature, or the estimator answers no row that can be drawn.
    """
    chosen = _usable(sample, signature)
    usable = sample.take(chosen)
    rows = usable.rows()[:CANDIDATES] if keep_training_rows else _drawn(estimator, usable, signature)
    empty = _clear(estimator, usable, empty_text_rows(rows, signature))
    half = ROWS // 2
    candidates = [*rows[:half], *empty[:half], *rows[half:]]
    golden = golden_of(candidates, ask(estimator, usable.build(candidates)))
    added = [*map(list, golden.inputs), *empty]
    known = [*_at(answers, chosen).plain(), *ask(estimator, usable.build(added)).plain()]
    numeric = signature.task != "classification" and signature.outputs[0].dtype.startswith("float")
    return golden, Evidence([*usable.rows(), *added], known, numeric)


def _usable(sample: Sample, signature: Signature) -> list[int]:
    """Positions of up to 1000 rows, spread over the sample, that the signature accepts."""
    spread = np.unique(np.linspace(0, len(sample) - 1, min(PROOF_ROWS, len(sample))).astype(int)).tolist()
    coercer = RowCoercer(signature)
    usable, problems = [], list[Problem]()
    for position, row in zip(spread, sample.take(spread).rows(), strict=True):
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


def _drawn(estimator: Any, usable: Sample, signature: Signature) -> list[Row]:
    """Drawn rows that the estimator answers: they can lie where it has nothing to say."""
    rows = drawn_rows(usable, signature)
    found = _answered(estimator, usable, rows)
    if not found:
        refusal = _refusal(estimator, usable.build(rows))
        raise PackRefused(f"{refusal}; if it only accepts rows like the sample's own, use keep_training_rows")
    return found


def _clear(estimator: Any, like: Sample, rows: list[Row]) -> list[Row]:
    """The rows that the estimator answers, and not by a close call."""
    found = _answered(estimator, like, rows)
    return [found[position] for position in clear_calls(ask(estimator, like.build(found)))] if found else []


def _answered(estimator: Any, like: Sample, rows: list[Row]) -> list[Row]:
    if rows and _refusal(estimator, like.build(rows)) is None:
        return rows
    return [row for row in rows if _refusal(estimator, like.build([row])) is None]


def _refusal(estimator: Any, sample: Sample) -> PackRefused | None:
    try:
        ask(estimator, sample)
    except PackRefused as refused:
        return refused
    return None


def _at(answers: Answers, positions: list[int]) -> Answers:
    scores = answers.probabilities
    return Answers(answers.predictions[positions], None if scores is None else scores[positions])
