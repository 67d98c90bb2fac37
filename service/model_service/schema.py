"""A version's signature compiled: rows in, rows of the right types out, answers as clients read them.

The rules themselves live in `model_artifact.coercion`; this module says what a request body and an answer look like.
"""

from collections.abc import Mapping
from typing import Any

from model_artifact.coercion import Problem, Row, RowCoercer, show
from model_artifact.signature import Signature
from model_service.errors import InvalidInput
from model_service.runtimes.base import Answers

MAX_PROBLEMS = 100
"""Problems listed in one answer: enough to act on, not a way to have the server write megabytes."""


class Schema:
    """Decodes request rows and encodes answers for one signature."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._coercer = RowCoercer(signature)

    def decode(self, values: list[Any]) -> list[Row]:
        """Coerce request rows (arrays by position, objects by name).

        Raises:
            InvalidInput: with every problem found, up to 100.
        """
        problems: list[Problem] = []
        rows = []
        for index, value in enumerate(values):
            rows.append(self._coercer.row(_features_of(value, index, problems), index, problems))
            if len(problems) >= MAX_PROBLEMS:
                break
        if problems:
            raise InvalidInput(_summary(problems), problems[:MAX_PROBLEMS])
        return rows

    def encode(self, answers: Answers) -> list[dict[str, Any]]:
        """One `{prediction, prediction_class, probability, probabilities}` for each row."""
        predictions = answers.predictions.tolist()
        if answers.probabilities is None:
            return [self._plain(value) for value in predictions]
        return [
            self._with_probabilities(self._plain(value), row)
            for value, row in zip(predictions, answers.probabilities.tolist(), strict=True)
        ]

    def _with_probabilities(self, answer: dict[str, Any], row: list[float]) -> dict[str, Any]:
        probabilities = dict(zip(self.signature.labels, row, strict=True))
        answer["probability"] = probabilities.get(answer["prediction_class"])
        answer["probabilities"] = probabilities
        return answer

    def _plain(self, value: Any) -> dict[str, Any]:
        label = self.signature.label
        named: Any = None
        if self.signature.task == "classification":
            named = [label(item) for item in value] if isinstance(value, list) else label(value)
        return {"prediction": value, "prediction_class": named, "probability": None, "probabilities": None}


def _features_of(body: Any, index: int, problems: list[Problem]) -> Any:
    """The row inside a `/predict` body: `{"features": row}`, or the bare named features."""
    if not isinstance(body, Mapping) or "features" not in body:
        return body
    extra = [key for key in body if key != "features"][:MAX_PROBLEMS]
    problems += [Problem(key[:64], index, "nothing beside 'features'", show(body[key])) for key in extra]
    return body["features"]


def _summary(problems: list[Problem]) -> str:
    first = problems[0]
    where = " of ".join(
        part
        for part in (first.field and repr(first.field), f"row {first.row}" if first.row is not None else "")
        if part
    )
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where or 'the request'}: expected {first.expected}, got {first.got}{more}"
