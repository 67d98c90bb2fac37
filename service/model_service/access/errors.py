"""What callers are told who may not do what they ask.

ServiceError                                status  code
├── NotAuthenticated                        401     unauthenticated
├── Forbidden                               403     forbidden
├── LockedOut                               429     locked_out
├── CannotVerify                            503     cannot_verify
└── TokenRefused (RFC 6749, section 5.2)    400     invalid_request
    ├── InvalidClient                       401     invalid_client
    ├── InvalidGrant                        400     invalid_grant
    ├── InvalidScope                        400     invalid_scope
    └── UnsupportedGrantType                400     unsupported_grant_type
"""

from collections.abc import Mapping
from typing import Any

from model_service.errors import ServiceError

REALM = 'realm="modelport"'


class NotAuthenticated(ServiceError):
    """No credential was given, or none that counts."""

    status = 401
    code = "unauthenticated"

    def __init__(self, message: str, wrong: bool = False) -> None:
        super().__init__(message)
        self.wrong = wrong

    @property
    def headers(self) -> Mapping[str, str]:
        """How to authenticate, after RFC 6750."""
        return {"WWW-Authenticate": f'Bearer {REALM}, error="invalid_token"' if self.wrong else f"Bearer {REALM}"}


class Forbidden(ServiceError):
    """The caller is known, and may not do this."""

    status = 403
    code = "forbidden"

    def __init__(self, message: str, scope: str) -> None:
        super().__init__(message)
        self._scope = scope

    @property
    def headers(self) -> Mapping[str, str]:
        """The scope that is missing, after RFC 6750."""
        return {"WWW-Authenticate": f'Bearer {REALM}, error="insufficient_scope", scope="{self._scope}"'}


class LockedOut(ServiceError):
    """Too many wrong credentials came from there."""

    status = 429
    code = "locked_out"

    def __init__(self, seconds: int, reason: str = "") -> None:
        told = f"too many wrong credentials came from this address; try again in {seconds} s"
        super().__init__(f"{reason}; {told}" if reason else told)
        self.retry_after = seconds


class CannotVerify(ServiceError):
    """The issuer of a token cannot be asked for its keys."""

    status = 503
    code = "cannot_verify"
    retry_after = 5


class TokenRefused(ServiceError):
    """The request for a token makes no sense."""

    status = 400
    code = "invalid_request"

    def as_json(self) -> dict[str, Any]:
        """The usual body, with OAuth's name for the message beside ours."""
        return super().as_json() | {"error_description": str(self)}


class InvalidClient(TokenRefused):
    """The client is not who it says."""

    status = 401
    code = "invalid_client"

    @property
    def headers(self) -> Mapping[str, str]:
        """How clients authenticate."""
        return {"WWW-Authenticate": f"Basic {REALM}"}


class InvalidGrant(TokenRefused):
    """Name or password is wrong."""

    code = "invalid_grant"


class InvalidScope(TokenRefused):
    """A role is asked for that the caller does not have."""

    code = "invalid_scope"


class UnsupportedGrantType(TokenRefused):
    """Only passwords and client credentials are taken."""

    code = "unsupported_grant_type"
