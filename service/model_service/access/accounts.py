"""Users of our own: HTTP Basic, and short-lived tokens that this service signs itself (RFC 6749, RFC 9068)."""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from model_service.access.errors import InvalidScope, NotAuthenticated
from model_service.access.files import Watched, read_bytes
from model_service.access.jwks import LEAST_RSA_BITS, Expected, VerifyingKey, key_id, verify
from model_service.access.principal import Principal
from model_service.access.users import Passwords, User, read_users
from model_service.errors import SettingsInvalid

ISSUER = AUDIENCE = "modelport"
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True)
class SigningKey:
    """A private key, its id and its algorithm."""

    id: str
    private: Any
    algorithm: str

    @property
    def public(self) -> VerifyingKey:
        """The half that verifies."""
        return VerifyingKey(self.private.public_key(), (self.algorithm,))


def read_signing_keys(path: Path) -> Sequence[SigningKey]:
    """The keys of a PEM file; the first signs, all verify, so that they can be rotated.

    Raises:
        SettingsInvalid: there is none, or one of another kind.
    """
    keys = [_signing_key(path, text) for text in _PEM.findall(read_bytes(path))]
    if not keys:
        raise SettingsInvalid(f"{path}: expected PEM private keys")
    return keys


def _signing_key(path: Path, text: bytes) -> SigningKey:
    try:
        private = load_pem_private_key(text, password=None)
    except (TypeError, ValueError):
        raise SettingsInvalid(f"{path}: a private key is damaged or has a password") from None
    algorithm = None
    if isinstance(private, Ed25519PrivateKey):
        algorithm = "EdDSA"
    elif isinstance(private, EllipticCurvePrivateKey):
        algorithm = _CURVES.get(private.curve.name)
    elif isinstance(private, RSAPrivateKey) and private.key_size >= LEAST_RSA_BITS:
        algorithm = "RS256"
    if algorithm is None:
        raise SettingsInvalid(f"{path}: expected Ed25519, EC P-256, P-384 or P-521, or RSA of {LEAST_RSA_BITS} bits")
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(sha256(public).hexdigest()[:16], private, algorithm)


class Accounts:
    """Who may come in with a password, and the tokens that they get for it.

    Args:
        users_file: who.
        key_file: signs the tokens; there are none without it.
        seconds: life of a token.

    Raises:
        SettingsInvalid: a file is not what it should be.
    """

    def __init__(self, users_file: Path, key_file: Path | None, seconds: int) -> None:
        self._users = Watched(users_file, read_users)
        self._keys = Watched(key_file, read_signing_keys) if key_file else None
        self._seconds, self._passwords = seconds, Passwords()

    def look(self) -> bool:
        """Read the files again that changed; whether any did."""
        changed = [file.look() for file in (self._users, self._keys) if file]
        return any(changed)

    def close(self) -> None:
        """End the thread that checks passwords."""
        self._passwords.close()

    async def check(self, name: str, password: str) -> User | None:
        """The user of that name, if the password is right.

        Raises:
            Overloaded: too many checks wait.
        """
        return await self._passwords.check(self._users.value, name, password)

    def has_key_of(self, token: str) -> bool:
        """Whether a token is one of ours, by the key that it names."""
        return self._find(token) is not None

    def sign(self, user: User, roles: Sequence[str]) -> tuple[str, int, Sequence[str]]:
        """A token for some of the user's roles, all if none is asked for; with its seconds and roles.

        Raises:
            InvalidScope: a role is not the user's.
        """
        if foreign := [role for role in roles if role not in user.roles]:
            raise InvalidScope(f"the roles are {' '.join(user.roles)}; {foreign[0][:32]} is not one of them")
        key, now, granted = self._signing[0], int(time.time()), list(roles or user.roles)
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": user.name, "iat": now, "exp": now + self._seconds,
            "jti": secrets.token_hex(8), "roles": granted,
        }  # fmt: skip
        headers = {"kid": key.id, "typ": "at+jwt"}
        return jwt.encode(claims, key.private, key.algorithm, headers), self._seconds, granted

    def verify(self, token: str) -> tuple[Principal, float]:
        """Who one of our tokens is for, and until when: roles that the user lost since are lost at once.

        Raises:
            NotAuthenticated: the token is wrong, or its user is gone.
        """
        key = self._find(token)
        if key is None:
            raise NotAuthenticated("the token is refused: its key is not one of this service's", wrong=True)
        claims = verify(token, key.public, Expected(ISSUER, AUDIENCE, ["roles"]))
        user = self._users.value.get(claims["sub"])
        if user is None or time.time() >= user.expires_at:
            raise NotAuthenticated("the token is refused: its user is gone", wrong=True)
        roles = set(claims["roles"]) & set(user.roles)
        return Principal.make(user.name, "token", roles, user.models), min(claims["exp"], user.expires_at)

    @property
    def _signing(self) -> Sequence[SigningKey]:
        return self._keys.value if self._keys else ()

    def _find(self, token: str) -> SigningKey | None:
        kid = key_id(token) if self._keys else None
        return next((key for key in self._signing if key.id == kid), None)
