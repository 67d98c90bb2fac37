"""Everything the service can say is wrong: one base, one shape, one handler.

ServiceError                                status  code
├── InvalidInput                            422     invalid_input
│   ├── InvalidJson                         422     invalid_json
│   └── InvalidEncoding                     422     invalid_encoding
├── MalformedRequest                        400     malformed_request
├── RequestTimeout                          408     request_timeout
├── HeadTooLarge                            431     head_too_large
├── UnsupportedMediaType                    415     unsupported_media_type
├── PayloadTooLarge                         413     payload_too_large
├── ModelNotFound                           404     model_not_found
├── Conflict                                409     conflict
├── Unservable                              422     model_unservable
├── Overloaded                              429     overloaded
│   └── RateLimited                     429     rate_limited
├── ModelNotReady                           503     model_not_ready
├── DeadlineExceeded                        504     deadline_exceeded
└── PredictionFailed                        500     prediction_failed

What access control says is in access.errors.

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
    outcome: ClassVar[str] = "failed"
    retry_after: int | None = None
    """Seconds after which the same request may fare better; sent as `Retry-After`."""

    def __init__(self, message: str, detail: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.detail = tuple(detail)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def as_json(self) -> dict[str, Any]:
        """The body: `{"error": code, "message": sentence, "detail": [{field, row, expected, got}]}`."""
        return error_body(self.code, str(self), [problem.as_json() for problem in self.detail])


class InvalidInput(ServiceError):
    """The request is understood and breaks the model's signature."""

    status = 422
    code = "invalid_input"
    outcome = "invalid"


class InvalidJson(InvalidInput):
    """The body is not JSON."""

    code = "invalid_json"


class InvalidEncoding(InvalidInput):
    """The body is not what its `Content-Encoding` says."""

    code = "invalid_encoding"


class MalformedRequest(ServiceError):
    """What came over the connection is not HTTP."""

    status = 400
    code = "malformed_request"
    outcome = "invalid"


class RequestTimeout(ServiceError):
    """The client took too long to send its request."""

    status = 408
    code = "request_timeout"
    outcome = "invalid"


class HeadTooLarge(ServiceError):
    """Request line and headers are over their limit."""

    status = 431
    code = "head_too_large"
    outcome = "invalid"


class UnsupportedMediaType(ServiceError):
    """The body is declared to be something other than JSON, or encoded as something other than gzip."""

    status = 415
    code = "unsupported_media_type"
    outcome = "invalid"


class PayloadTooLarge(ServiceError):
    """The body or its number of rows is over a limit."""

    status = 413
    code = "payload_too_large"
    outcome = "invalid"


class ModelNotFound(ServiceError):
    """No such model or version is served here."""

    status = 404
    code = "model_not_found"


class Conflict(ServiceError):
    """A command does not fit what is in force."""

    status = 409
    code = "conflict"


class Unservable(ServiceError):
    """A command asks for a version that cannot be served, and why."""

    status = 422
    code = "model_unservable"


class Overloaded(ServiceError):
    """More requests wait than may, or than can be answered in time."""

    status = 429
    code = "overloaded"
    outcome = "overload"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(Overloaded):
    """The caller has used up a limit of its own, however little there is to do."""

    code = "rate_limited"


class ModelNotReady(ServiceError):
    """The model is not loaded yet, or no longer."""

    status = 503
    code = "model_not_ready"
    retry_after = 1


class DeadlineExceeded(ServiceError):
    """The request was not answered in the time that it or the settings allow, waiting included."""

    status = 504
    code = "deadline_exceeded"
    outcome = "deadline"


class PredictionFailed(ServiceError):
    """The model itself raised, or answered with the wrong number of rows; the cause is in the log only."""

    status = 500
    code = "prediction_failed"


class ClientLeft(Exception):
    """The client closed its connection: there is nobody to answer."""


class LoadFailed(Exception):
    """A bundle cannot be served: refused by policy, damaged, incompatible, or its answers are wrong."""


class BudgetTooSmall(LoadFailed):
    """A version needs more memory than the budget leaves."""


class SettingsInvalid(Exception):
    """A setting is unknown or has a bad value."""


def error_body(code: str, message: str, detail: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The one shape of an error's body."""
    return {"error": code, "message": message, "detail": list(detail)}


FAILURE = error_body("internal_error", "the server failed; its log has the request id and the cause")
