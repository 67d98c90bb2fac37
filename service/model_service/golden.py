"""Golden replay: the answers packed with a model, asked again here; it also warms the runtime up."""

import math
from collections.abc import Iterator
from typing import Any

from model_artifact.bundle import Bundle
from model_artifact.samples import Answer, Golden, parse_golden
from model_service.errors import LoadFailed
from model_service.runtimes.base import Answers, Runtime
from model_service.schema import Schema


def replay(bundle: Bundle, runtime: Runtime, schema: Schema) -> None:
    """Prove that `runtime` answers the bundle's golden rows as the estimator did; a bundle without any passes.

    Raises:
        LoadFailed: naming the first row whose answer differs by more than the bundle's tolerance.
    """
    if bundle.manifest.golden is None:
        return
    golden = parse_golden(bundle.path(bundle.manifest.golden).read_bytes())
    try:
        differences = list(_differences(golden, runtime.predict(schema.decode(list(golden.inputs)))))
    except Exception as error:  # the model is unknown code: whatever it raises, it cannot serve
        raise LoadFailed(f"golden rows of {bundle.directory} cannot be answered: {str(error)[:300]}") from error
    for index, sentence in differences:
        raise LoadFailed(f"golden row {index} of {bundle.directory} is answered wrong: {sentence}")


def _differences(golden: Golden, answers: Answers) -> Iterator[tuple[int, str]]:
    scores = [None] * len(answers) if answers.probabilities is None else answers.probabilities.tolist()
    pairs = zip(golden.outputs, answers.predictions.tolist(), scores, strict=True)
    for index, (expected, prediction, row) in enumerate(pairs):
        if not _same(expected.prediction, prediction, golden.tolerance):
            yield index, f"expected {expected.prediction!r}, got {prediction!r}"
        elif not _same_scores(expected, row, golden.tolerance):
            yield index, f"expected probabilities {expected.probabilities}, got {row}"


def _same_scores(expected: Answer, row: list[float] | None, tolerance: float) -> bool:
    return expected.probabilities is None or _same(list(expected.probabilities), row, tolerance)


def _same(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(_same(left, right, tolerance) for left, right in zip(expected, got, strict=True))
        )
    if isinstance(expected, float) and isinstance(got, (int, float)):
        return math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    return bool(expected == got)
