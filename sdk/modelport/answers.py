"""What a service says, typed: predictions, health, and errors. Unknown keys of later services are ignored.

ClientError
├── ApiError              the service answered with an error
└── ServiceUnreachable    no answer came
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

SHOWN_PROBLEMS = 10


class ClientError(Exception):
    """Base of everything `Client` raises about a service; its text is a sentence for people."""


class ServiceUnreachable(ClientError):
    """No usable answer came: refused, timed out, cut off, or not from a Modelport service."""


class ApiError(ClientError):
    """The service refused or failed.

    Attributes:
        status: HTTP status.
        code: short machine-readable name, such as `invalid_input`.
        message: one sentence.
        detail: problems of the request, each with `field`, `row`, `expected` and `got`; rows count from 0 over
            everything that was passed to the call.
    """

    def __init__(self, status: int, code: str, message: str, detail: Sequence[Mapping[str, Any]] = ()) -> None:
        self.status, self.code, self.message = status, code, message
        self.detail = tuple(dict(problem) for problem in detail)
        super().__init__(status, code, message, self.detail)

    @classmethod
    def from_json(cls, status: int, body: Any, url: str) -> Self:
        """Read an error's body, which may be that of a proxy or of another service."""
        fields = body if isinstance(body, Mapping) else {}
        detail = fields.get("detail")
        problems = [item for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []
        message = fields.get("message") or f"{url} answered HTTP {status}"
        return cls(status, str(fields.get("error") or f"http_{status}"), str(message), problems)

    def __str__(self) -> str:
        lines = [f"{self.message} ({self.code}, HTTP {self.status})"]
        lines += [f"  {_problem(problem)}" for problem in self.detail[:SHOWN_PROBLEMS]]
        if len(self.detail) > SHOWN_PROBLEMS:
            lines.append(f"  ... and {len(self.detail) - SHOWN_PROBLEMS} more, see .detail")
        return "\n".join(lines)

    def shifted(self, rows: int) -> "ApiError":
        """The same error with its row numbers moved by `rows`: those of one part of a longer batch."""
        moved = [
            problem | {"row": problem["row"] + rows} if isinstance(problem.get("row"), int) else problem
            for problem in self.detail
        ]
        return ApiError(self.status, self.code, self.message, moved)


def _problem(problem: Mapping[str, Any]) -> str:
    places = [f"{part} {problem[part]}" for part in ("row", "field") if problem.get(part) is not None]
    return f"{', '.join(places) or 'request'}: expected {problem.get('expected')}, got {problem.get('got')}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one row.

    `prediction` is the estimator's own value and `prediction_class` its label as text: null for regression, one text
    for each output where there are several.
    `probability` is that of the predicted class and `probabilities` maps every label to its own; both are null where
    the model has none.
    """

    prediction: Any
    prediction_class: str | list[str] | None
    probability: float | None
    probabilities: dict[str, float] | None
    model_name: str
    model_version: str
    prediction_id: str
    timestamp: datetime

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read an answer's body. Raises KeyError or ValueError when it is not one."""
        values = {field.name: body[field.name] for field in fields(cls)}
        return cls(**values | {"timestamp": datetime.fromisoformat(values["timestamp"])})


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Answers in the order of the rows; `processing_time` is the service's own, in seconds, over all requests."""

    predictions: tuple[Prediction, ...]
    batch_size: int
    processing_time: float

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read the body of one batch. Raises KeyError or ValueError when it is not one."""
        answers = tuple(Prediction.from_json(answer) for answer in body["predictions"])
        return cls(answers, len(answers), float(body["processing_time"]))

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __getitem__(self, index: int) -> Prediction:
        return self.predictions[index]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model as the service reports it; `reason` says why it is not served."""

    name: str | None
    version: str | None
    digest: str | None
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is ok, loading, failed or draining; `ready` says whether the service takes traffic."""

    ready: bool
    status: str
    model_loaded: bool
    models: tuple[ModelState, ...]

    @classmethod
    def from_json(cls, ready: bool, body: Mapping[str, Any]) -> Self:
        """Read the body of `/health`. Raises KeyError when it is not one."""
        names = [field.name for field in fields(ModelState)]
        models = tuple(ModelState(**{name: item.get(name) for name in names}) for item in body.get("models", ()))
        return cls(ready, body["status"], body["model_loaded"], models)

    def __str__(self) -> str:
        reasons = [f"{model.name or 'model'}: {model.reason}" for model in self.models if model.reason]
        return f"{self.status} ({'; '.join(reasons)})" if reasons else self.status
