"""Who an `Authorization` header is for: tokens of our own, tokens of an issuer, HTTP Basic."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from model_service.access.errors import LockedOut, NotAuthenticated
from model_service.access.lockout import Lockout
from model_service.access.principal import Principal
from model_service.access.settings import AccessSettings
from model_service.errors import SettingsInvalid

if TYPE_CHECKING:
    from model_service.access.accounts import Accounts
    from model_service.access.issuer import Issuer
    from model_service.access.users import User

BASIC_SECONDS = 60.0
"""For how long a password that was right is not checked again."""
Verified = tuple[Principal, float]
"""Who, and until when in seconds since the epoch."""


class Verifier:
    """Verifies what was not seen before.

    Args:
        settings: which ways of proving who one is there are.
        lockout: of the pod.

    Raises:
        SettingsInvalid: a file is wrong, or a package is missing.
    """

    def __init__(self, settings: AccessSettings, lockout: Lockout) -> None:
        self._takes_basic, self._lockout = settings.basic, lockout
        self.accounts, self._issuer = _accounts(settings), _issuer(settings)

    async def verify(self, authorization: bytes, address: str) -> Verified:
        """Who the value of a header is for.

        Raises:
            NotAuthenticated, LockedOut, CannotVerify, Overloaded: nobody, for now or at all.
        """
        scheme, _, text = authorization.decode("latin-1").partition(" ")
        kind, given = scheme.lower(), text.strip()
        if kind == "bearer":
            return await self._bearer(given)
        if kind == "basic" and self._takes_basic:
            return await self._basic(given, address)
        raise NotAuthenticated("the scheme of the Authorization header is not taken here", wrong=True)

    async def _bearer(self, token: str) -> Verified:
        if self.accounts and self.accounts.has_key_of(token):
            return self.accounts.verify(token)
        if self._issuer and token.count(".") == 2:
            return await self._issuer.verify(token)
        raise NotAuthenticated("the key or token is unknown or has expired", wrong=True)

    async def _basic(self, text: str, address: str) -> Verified:
        pair = basic_pair(text)
        if pair is None:
            raise NotAuthenticated("the Authorization header is not base64 of name:password", wrong=True)
        name, password = pair
        user = await self.check(name, password, address)
        if user is None:
            raise NotAuthenticated("the name or the password is wrong", wrong=True)
        return user.principal("basic"), min(time.time() + BASIC_SECONDS, user.expires_at)

    async def check(self, name: str, password: str, address: str) -> "User | None":
        """The user of that name, if the password is right.

        Raises:
            LockedOut: too many wrong ones came for that name from that address, before this one or at the same time.
            Overloaded: too many checks wait.
        """
        self._refuse_locked(address, name)
        user = await self.accounts.check(name, password) if self.accounts and name and password else None
        self._refuse_locked(address, name)  # many at once must not find out more than one after the other
        if user is None:
            self._lockout.failed(address, name)
        else:
            self._lockout.succeeded(address, name)
        return user

    def _refuse_locked(self, address: str, name: str) -> None:
        if seconds := self._lockout.seconds(address, name):
            raise LockedOut(seconds)

    def look(self) -> bool:
        """Take up what changed in files; whether anything did."""
        return self.accounts is not None and self.accounts.look()

    async def refresh(self) -> bool:
        """Take up what changed at the issuer; whether a key is gone."""
        return self._issuer is not None and await self._issuer.refresh()

    def close(self) -> None:
        """End the threads."""
        if self.accounts:
            self.accounts.close()


def basic_pair(text: str) -> tuple[str, str] | None:
    """Name and password of HTTP Basic (RFC 7617); none when the text is not base64 of them."""
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        return None
    return (name, password) if colon else None


@contextmanager
def _installed(setting: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsInvalid(
            f"MODELPORT_ACCESS__{setting} needs the package {error.name}: pip install 'modelport[access]'"
        ) from None


def _accounts(settings: AccessSettings) -> "Accounts | None":
    if not settings.users_file:
        return None
    with _installed("USERS_FILE"):
        from model_service.access.accounts import Accounts  # noqa: PLC0415 - imports optional packages
    return Accounts(settings.users_file, settings.token_key_file, settings.token_seconds)


def _issuer(settings: AccessSettings) -> "Issuer | None":
    if not settings.jwt_issuer:
        return None
    with _installed("JWT_ISSUER"):
        from model_service.access.issuer import Issuer  # noqa: PLC0415 - imports optional packages
    return Issuer(settings)
