"""Public keys that verify tokens (RFC 7517), each with the algorithms that it may be used with.

Only asymmetric algorithms count, and the key decides which (RFC 8725, section 3.1): the header of a token is the
attacker's to write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import JWKDict

from model_service.access.errors import NotAuthenticated

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS: Mapping[tuple[str, str | None], Sequence[str]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By type and curve of the key."""
LEAST_RSA_BITS = 2048
REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is from another issuer",
    jwt.InvalidAlgorithmError: "its algorithm is not one of its key's",
    jwt.InvalidSignatureError: "its signature is wrong",
}
"""What callers are told; nothing of the token is repeated."""


@dataclass(frozen=True)
class VerifyingKey:
    """A public key and the algorithms that it verifies."""

    key: Any
    algorithms: Sequence[str]


def usable(document: Any) -> dict[str, VerifyingKey]:
    """The keys of a JWK set that can verify signatures, by id; others (encryption, unknown kinds) are left out."""
    found = {}
    keys = document.get("keys") if isinstance(document, dict) else None
    for data in keys if isinstance(keys, list) else []:
        key = _usable(data) if isinstance(data, dict) else None
        if key is not None:
            found[str(data.get("kid", ""))] = key
    return found


def _usable(data: JWKDict) -> VerifyingKey | None:
    allowed = ALGORITHMS.get((str(data.get("kty")), data.get("crv")), ())
    pinned = [name for name in allowed if data.get("alg", name) == name]
    if not pinned or data.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(data, pinned[0]).key
    except jwt.PyJWTError:
        return None
    weak = data["kty"] == "RSA" and key.key_size < LEAST_RSA_BITS
    return None if weak else VerifyingKey(key, pinned)


def key_id(token: str) -> str | None:
    """Which key a token says that it is signed with; None when it is no token with an algorithm that counts."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        return None
    known = any(header.get("alg") in names for names in ALGORITHMS.values())
    return str(header.get("kid", "")) if known else None


@dataclass(frozen=True)
class Expected:
    """What a token must say: issuer, audience, more claims than the usual; and the seconds that clocks may differ."""

    issuer: str
    audience: str
    claims: Sequence[str] = ()
    skew: float = 0


def verify(token: str, key: VerifyingKey, expected: Expected) -> Any:
    """The claims of a token, once signature, issuer, audience and times are found right.

    Raises:
        NotAuthenticated: something of it is wrong; the sentence says what.
    """
    try:
        return jwt.decode(
            token, key.key, list(key.algorithms), {"require": ["exp", "iss", "aud", "sub", *expected.claims]},
            issuer=expected.issuer, audience=expected.audience, leeway=expected.skew,
        )  # fmt: skip
    except jwt.PyJWTError as error:
        raise NotAuthenticated(f"the token is refused: {_reason(error)}", wrong=True) from None


def _reason(error: jwt.PyJWTError) -> str:
    told = next((text for kind, text in REASONS.items() if isinstance(error, kind)), None)
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it has no claim {error.claim}"
    return told or "it is damaged"
