"""Everything the service can say is wrong: one base, one shape, one handler.

ServiceError                                status  code
├── InvalidInput                            422     invalid_input
│   └── InvalidJson                         422     invalid_json
├── UnsupportedMediaType                    415     unsupported_media_type
├── PayloadTooLarge                         413     payload_too_large
├── ModelNotFound                           404     model_not_found
├── ModelNotReady                           503     model_not_ready
└── PredictionFailed                        500     prediction_failed

LoadFailed (not an HTTP answer)             the default model can never be served: the process ends with exit code 3
SettingsInvalid (not an HTTP answer)        the start is refused with a sentence
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from model_artifact.coercion import Problem

EXIT_LOAD_FAILED = 3


class ServiceError(Exception):
    """Base of every error a client can see; its text is the `message`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str, detail: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.detail = tuple(detail)

    def as_json(self) -> dict[str, Any]:
        """The body: `{"error": code, "message": sentence, "detail": [{field, row, expected, got}]}`."""
        return error_body(self.code, str(self), [problem.as_json() for problem in self.detail])


class InvalidInput(ServiceError):
    """The request is understood and breaks the model's signature."""

    status = 422
    code = "invalid_input"


class InvalidJson(InvalidInput):
    """The body is not JSON."""

    code = "invalid_json"


class UnsupportedMediaType(ServiceError):
    """The body is declared to be something other than JSON."""

    status = 415
    code = "unsupported_media_type"


class PayloadTooLarge(ServiceError):
    """The body or its number of rows is over a limit."""

    status = 413
    code = "payload_too_large"


class ModelNotFound(ServiceError):
    """No such model or version is served here."""

    status = 404
    code = "model_not_found"


class ModelNotReady(ServiceError):
    """The model is not loaded yet, or no longer."""

    status = 503
    code = "model_not_ready"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class PredictionFailed(ServiceError):
    """The model itself raised, or answered with the wrong number of rows; the cause is in the log only."""

    status = 500
    code = "prediction_failed"


class LoadFailed(Exception):
    """A bundle cannot be served: refused by policy, damaged, incompatible, or its answers are wrong."""


class SettingsInvalid(Exception):
    """A setting is unknown or has a bad value."""


def error_body(code: str, message: str, detail: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The one shape of an error's body."""
    return {"error": code, "message": message, "detail": list(detail)}
