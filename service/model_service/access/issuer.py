"""Tokens of an OpenID Connect issuer: its keys are found by discovery and fetched again as they rotate.

While the issuer cannot be reached, tokens signed with known keys go on being taken.
"""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, OpenerDirector, build_opener

from model_service.access.errors import CannotVerify, NotAuthenticated
from model_service.access.jwks import Expected, VerifyingKey, key_id, usable, verify
from model_service.access.principal import Principal
from model_service.access.settings import AccessSettings

log = logging.getLogger(__name__)
REFRESH_SECONDS = 600.0
REFETCH_SECONDS = 5.0
"""Least time between two fetches that unknown keys ask for: callers choose the key ids of their tokens."""
TIMEOUT_SECONDS = 5.0
MOST_BYTES = 1 << 20


class Unreachable(Exception):
    """The issuer gave no keys; the text is the reason."""


class Issuer:
    """Verifies the tokens of one issuer.

    Args:
        settings: whose tokens, and what they must hold.
        clock: seconds, for tests.
    """

    def __init__(self, settings: AccessSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.url, self._settings, self._clock = settings.jwt_issuer or "", settings, clock
        self._expected = Expected(
            self.url, settings.jwt_audience or "", settings.jwt_required_claims, settings.jwt_skew_seconds
        )
        self._opener = _opener(settings.jwt_ca_file)
        self._keys: Mapping[str, VerifyingKey] = {}
        self._tried = self._fetched = -REFRESH_SECONDS
        self._reachable, self._withdrawn = True, False
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> tuple[Principal, float]:
        """Who a token is for, and until when.

        Raises:
            NotAuthenticated: the token is wrong.
            CannotVerify: its key is not known, and the issuer cannot be asked.
        """
        kid = key_id(token)
        if kid is None:
            raise NotAuthenticated("the token is refused: it is no signed token, or its algorithm is not taken", True)
        if kid not in self._keys:
            await self._refetch()
        key = self._keys.get(kid)
        if key is None and not self._reachable:
            raise CannotVerify("the token cannot be checked now: its issuer is not reachable")
        if key is None:
            raise NotAuthenticated("the token is refused: its issuer does not have its key", True)
        claims = verify(token, key, self._expected)
        return self._principal(claims), claims["exp"] + self._expected.skew

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        roles = self._settings.role_of_claim
        given = _texts(_claim(claims, self._settings.jwt_roles_claim))
        models = _claim(claims, self._settings.jwt_models_claim)
        found = [roles[value] for value in given if value in roles]
        return Principal.make(claims["sub"], "jwt", found, None if models is None else _texts(models))

    async def refresh(self) -> bool:
        """Fetch the keys when it is time; whether one was withdrawn since this was called before."""
        if self._clock() >= self._fetched + REFRESH_SECONDS:
            await self._refetch()
        withdrawn, self._withdrawn = self._withdrawn, False
        return withdrawn

    async def _refetch(self) -> None:
        asked = self._clock()
        async with self._lock:
            if self._tried >= asked or self._clock() < self._tried + REFETCH_SECONDS:
                return  # somebody else did while this one waited, or it is too early
            before = self._keys
            try:
                self._keys = await asyncio.to_thread(self._fetch)
                self._fetched = self._clock()
                self._withdrawn |= any(self._keys.get(kid) != key for kid, key in before.items())
                self._tell(None)
            except Unreachable as error:
                self._tell(str(error))
            self._tried = self._clock()

    def _tell(self, problem: str | None) -> None:
        if problem and self._reachable:
            log.warning(
                "the issuer %s is not reachable; its %d known keys go on: %s", self.url, len(self._keys), problem
            )
        if not problem and not self._reachable:
            log.info("the issuer %s is reachable again", self.url)
        self._reachable = problem is None

    def _fetch(self) -> Mapping[str, VerifyingKey]:
        """Discovery (OpenID Connect Discovery 1.0, section 4), then the keys."""
        document = self._get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
        told = document.get("issuer")
        if told != self.url:
            raise Unreachable(f"it calls itself {told!r}; MODELPORT_ACCESS__JWT_ISSUER must be the same to the letter")
        place = str(document.get("jwks_uri"))
        if urlsplit(place).scheme not in {"https", urlsplit(self.url).scheme}:
            raise Unreachable(f"its jwks_uri is {place}; expected https")
        keys = usable(self._get(place))
        if not keys:
            raise Unreachable(f"{place} has no keys that verify signatures")
        return keys

    def _get(self, url: str) -> dict[str, Any]:
        try:
            with self._opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
                document = json.loads(answer.read(MOST_BYTES))
        except HTTPError as error:
            raise Unreachable(f"{url} answered {error.code}") from None
        except (OSError, ValueError, HTTPException) as error:
            raise Unreachable(f"{url}: {getattr(error, 'reason', error)}") from None
        if not isinstance(document, dict):
            raise Unreachable(f"{url}: expected a JSON object")
        return document


def _opener(authorities: Path | None) -> OpenerDirector:
    return build_opener(HTTPSHandler(context=ssl.create_default_context(cafile=authorities)))


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name or, where there is none of that name, by a path of names."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(value: Any) -> Sequence[str]:
    """A claim's list; some issuers write one text with spaces."""
    if isinstance(value, str):
        return value.split()
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
