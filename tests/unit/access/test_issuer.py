"""Tokens of an OpenID Connect issuer, over real HTTP: what is taken, what is refused, and how keys rotate."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from fastapi.testclient import TestClient
from support.access import AUDIENCE, MAKERS, Issuer, issuing, public_jwk

from model_service.access import issuer as module
from model_service.access.errors import CannotVerify, NotAuthenticated
from model_service.access.settings import AccessSettings

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(issuer: Issuer, clock: Clock | None = None, **settings: Any) -> module.Issuer:
    given = {"jwt_issuer": issuer.url, "jwt_audience": AUDIENCE} | settings
    return module.Issuer(AccessSettings.model_validate(given), clock or Clock())


def verify(verifier: module.Issuer, token: str) -> Any:
    return asyncio.run(verifier.verify(token))[0]


@pytest.mark.parametrize("algorithm", list(MAKERS))
def test_a_token_of_the_issuer_is_taken(issuer: Issuer, algorithm: str) -> None:
    issuer.add("one", algorithm)
    principal = verify(make(issuer), issuer.token("one"))
    assert (principal.name, principal.kind, principal.roles, principal.models) == ("alice", "jwt", {"predict"}, None)


def test_it_holds_until_it_expires_and_a_little_longer(issuer: Issuer) -> None:
    issuer.add("one")
    expires = int(time.time()) + 60
    _, until = asyncio.run(make(issuer, jwt_skew_seconds=10).verify(issuer.token("one", exp=expires)))
    assert until == expires + 10


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": 1000}, "it has expired"),
        ({"exp": time.time() - 31}, "it has expired"),
        ({"nbf": 4e9}, "not valid yet"),
        ({"iat": 4e9}, "not valid yet"),
        ({"aud": "somebody else"}, "another audience"),
        ({"iss": "https://elsewhere.example.com"}, "another issuer"),
        ({"exp": None}, "no claim exp"),
        ({"aud": None}, "no claim aud"),
        ({"iss": None}, "no claim iss"),
        ({"sub": None}, "no claim sub"),
        ({"sub": 7}, "damaged"),
    ],
)
def test_a_claim_that_is_wrong_is_named(issuer: Issuer, claims: dict[str, Any], said: str) -> None:
    issuer.add("one")
    with pytest.raises(NotAuthenticated, match=said):
        verify(make(issuer), issuer.token("one", **claims))


def test_clocks_may_differ_a_little(issuer: Issuer) -> None:
    issuer.add("one")
    assert verify(make(issuer), issuer.token("one", exp=time.time() - 3, nbf=time.time() + 20)).name == "alice"


def test_more_claims_can_be_required(issuer: Issuer) -> None:
    issuer.add("one")
    verifier = make(issuer, jwt_required_claims="tenant")
    assert verify(verifier, issuer.token("one", tenant="x")).name == "alice"
    with pytest.raises(NotAuthenticated, match="no claim tenant"):
        verify(verifier, issuer.token("one"))


@pytest.mark.parametrize(
    ("settings", "claims", "roles", "models"),
    [
        ({}, {"roles": "predict metrics"}, {"predict", "metrics"}, None),
        ({}, {"roles": ["predict", "root", 7]}, {"predict"}, None),
        ({}, {"roles": None}, set(), None),
        ({}, {"roles": 7, "models": ["churn"]}, set(), {"churn"}),
        ({}, {"models": []}, {"predict"}, set()),
        ({"jwt_roles_claim": "realm_access.roles"}, {"realm_access": {"roles": ["admin"]}}, {"admin"}, None),
        ({"jwt_roles_claim": "a.b", "jwt_models_claim": "m"}, {"a": "x", "m": "churn iris"}, set(), {"churn", "iris"}),
        ({"jwt_roles_claim": "https://x.example.com/r"}, {"https://x.example.com/r": ["docs"]}, {"docs"}, None),
        ({"jwt_roles_claim": "groups", "jwt_roles": "ml-team=predict,sre=admin"}, {"groups": ["ml-team", "sre"]},
         {"predict", "admin"}, None),
    ],
)  # fmt: skip
def test_roles_and_models_come_from_claims(
    issuer: Issuer, settings: dict[str, str], claims: dict[str, Any], roles: set[str], models: set[str] | None
) -> None:
    issuer.add("one")
    principal = verify(make(issuer, **settings), issuer.token("one", **claims))
    assert (principal.roles, principal.models) == (roles, models)


def test_the_key_decides_the_algorithm_and_not_the_token(issuer: Issuer) -> None:
    issuer.add("one", "RS256", alg="RS512")
    with pytest.raises(NotAuthenticated, match="algorithm"):
        verify(make(issuer), issuer.token("one"))


def test_symmetric_and_unsigned_tokens_are_refused_before_anybody_is_asked(issuer: Issuer) -> None:
    issuer.add("one", "RS256")
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "mallory", "exp": time.time() + 60, "roles": ["admin"]}
    secret = "x" * 64
    for token in (
        jwt.encode(claims, secret, "HS256", {"kid": "one"}),
        jwt.encode(claims, None, "none", {"kid": "one"}),
        "a.b.c",
        "",
    ):
        with pytest.raises(NotAuthenticated):
            verify(make(issuer), token)
    assert issuer.fetches == []


def test_a_key_of_somebody_else_does_not_help(issuer: Issuer) -> None:
    issuer.add("one")
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "mallory", "exp": time.time() + 60}
    forged = jwt.encode(claims, MAKERS["ES256"](), "ES256", {"kid": "one"})
    with pytest.raises(NotAuthenticated, match="signature is wrong"):
        verify(make(issuer), forged)


def test_keys_that_cannot_verify_are_left_out(issuer: Issuer) -> None:
    private = MAKERS["RS256"]()
    issuer.keys = [
        public_jwk(private, "encrypts", use="enc"),
        {"kty": "oct", "kid": "secret", "k": "eHh4"},
        {"kty": "RSA", "kid": "damaged"},
        {"kty": "EC", "crv": "secp256k1", "kid": "coin"},
        "no key",  # type: ignore[list-item]
    ]
    issuer.add("good")
    verifier = make(issuer)
    assert verify(verifier, issuer.token("good")).name == "alice"
    with pytest.raises(NotAuthenticated, match="does not have its key"):
        verify(verifier, jwt.encode({"sub": "x"}, private, "RS256", {"kid": "encrypts"}))


def test_a_new_key_is_fetched_once_and_not_on_every_callers_word(issuer: Issuer) -> None:
    clock = Clock()
    issuer.add("one")
    verifier = make(issuer, clock)
    verify(verifier, issuer.token("one"))
    issuer.add("two")
    fetches = len(issuer.fetches)
    with pytest.raises(NotAuthenticated):  # right after a fetch
        verify(verifier, issuer.token("two"))
    assert len(issuer.fetches) == fetches
    clock.now += module.REFETCH_SECONDS

    async def many() -> None:
        tokens = [issuer.token("two", jti=str(number)) for number in range(20)]
        assert {principal.name for principal, _ in await asyncio.gather(*map(verifier.verify, tokens))} == {"alice"}

    asyncio.run(many())
    assert len(issuer.fetches) == fetches + 2  # the document and the keys


def test_keys_are_fetched_again_in_time_and_it_is_told_when_one_is_gone(issuer: Issuer) -> None:
    clock = Clock()
    issuer.add("one")
    issuer.add("two")
    verifier = make(issuer, clock)
    assert asyncio.run(verifier.refresh()) is False
    issuer.remove("one")
    assert asyncio.run(verifier.refresh()) is False  # too early
    clock.now += module.REFRESH_SECONDS
    assert asyncio.run(verifier.refresh()) is True
    assert asyncio.run(verifier.refresh()) is False
    with pytest.raises(NotAuthenticated, match="does not have its key"):
        verify(verifier, issuer.token("one"))


def test_a_withdrawal_that_is_seen_by_the_way_is_told_too(issuer: Issuer) -> None:
    clock = Clock()
    issuer.add("one")
    verifier = make(issuer, clock)
    verify(verifier, issuer.token("one"))
    issuer.remove("one")
    issuer.add("two")
    clock.now += module.REFETCH_SECONDS
    verify(verifier, issuer.token("two"))
    assert asyncio.run(verifier.refresh()) is True
    issuer.keys = [key for key in issuer.keys if key["kid"] != "two"]
    issuer.add("two")  # another key of the same name
    clock.now += module.REFRESH_SECONDS
    assert asyncio.run(verifier.refresh()) is True


def test_while_the_issuer_fails_known_keys_go_on(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    issuer.add("one")
    verifier = make(issuer, clock)
    verify(verifier, issuer.token("one"))
    issuer.add("two")
    issuer.failing = True
    clock.now += module.REFRESH_SECONDS
    for _ in range(3):
        with pytest.raises(CannotVerify):
            verify(verifier, issuer.token("two"))
    assert verify(verifier, issuer.token("one", jti="another")).name == "alice"
    told = [record.getMessage() for record in caplog.records if "not reachable" in record.getMessage()]
    assert len(told) == 1
    assert "answered 500" in told[0]
    issuer.failing = False
    clock.now += module.REFETCH_SECONDS
    assert verify(verifier, issuer.token("two")).name == "alice"


@pytest.mark.parametrize("what", ["another name", "no keys", "foreign scheme", "no JSON object", "nobody"])
def test_an_issuer_that_cannot_be_right_is_told(
    issuer: Issuer, what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.add("one")
    token = issuer.token("one")
    if what == "another name":
        issuer.called = issuer.url + "/"
    elif what == "no keys":
        issuer.keys = []
    elif what == "foreign scheme":
        monkeypatch.setattr(issuer, "answer", lambda _: {"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"})
    elif what == "no JSON object":
        monkeypatch.setattr(issuer, "answer", lambda _: [])
    else:
        issuer.url = "http://127.0.0.1:1"
    with pytest.raises(CannotVerify):
        verify(make(issuer), token)
    assert "not reachable" in caplog.text


def test_an_issuer_may_have_an_authority_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    with issuing(tls=context) as issuer:
        issuer.add("one")
        assert verify(make(issuer, jwt_ca_file=path), issuer.token("one")).name == "alice"
        with pytest.raises(CannotVerify):
            verify(make(issuer), issuer.token("one"))
    assert "certificate verify failed" in caplog.text


def test_the_service_takes_them(serve: Callable[..., TestClient], issuer: Issuer) -> None:
    issuer.add("one")
    client = serve(jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
    headers = {"Authorization": f"Bearer {issuer.token('one')}"}
    assert [client.post("/predict", json=BODY, headers=headers).status_code for _ in range(3)] == [200] * 3
    assert client.get("/metrics", headers=headers).status_code == 403
    expired = {"Authorization": f"Bearer {issuer.token('one', exp=1000)}"}
    answer = client.post("/predict", json=BODY, headers=expired)
    assert (answer.status_code, answer.json()["message"]) == (401, "the token is refused: it has expired")
    issuer.failing = True
    unknown = {"Authorization": f"Bearer {issuer.token('one', headers={'kid': 'new'})}"}
    assert client.post("/predict", json=BODY, headers=unknown).status_code in {401, 503}
