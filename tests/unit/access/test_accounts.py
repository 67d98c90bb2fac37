"""Users of our own: HTTP Basic, tokens for passwords and client secrets, and how both end."""

import asyncio
import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from fastapi.testclient import TestClient
from support.access import MAKERS, pem, user_entry, write_json

from model_service.access import lockout
from model_service.access import users as module
from model_service.access.accounts import read_signing_keys
from model_service.access.gate import Gate
from model_service.access.layer import Access
from model_service.access.lockout import FREE_FAILURES
from model_service.access.settings import AccessSettings
from model_service.access.users import Passwords, User, read_users
from model_service.errors import Overloaded, SettingsInvalid
from model_service.telemetry.requests import Exchange

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.json"
    write_json(
        path,
        [
            user_entry("alice", "pass word:ü", roles=["predict", "metrics"]),
            user_entry("pipeline", "secret", client=True),
            user_entry("left", "gone", expires="2020-01-01"),
            user_entry("iris-only", "iris", models=["iris"]),
            user_entry("other", "other", models=["churn"]),
        ],
    )
    return path


@pytest.fixture
def signing(tmp_path: Path) -> Path:
    path = tmp_path / "signing.pem"
    path.write_bytes(pem(MAKERS["EdDSA"]()))
    return path


@pytest.fixture
def client(serve: Callable[..., TestClient], users: Path, signing: Path) -> TestClient:
    return serve(users_file=users, token_key_file=signing, basic=True)


@pytest.fixture
def _long_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of a second would be over before a busy machine has sent the next request."""
    monkeypatch.setattr(lockout, "FIRST_SECONDS", 600.0)


@pytest.fixture
def _no_following(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at only when a test says so: a look that goes on beside it would be ahead of it."""
    monkeypatch.setattr(Gate, "start", lambda _: None)


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def ask(client: TestClient, headers: Any = None, **form: str) -> Any:
    return client.post("/oauth/token", data=form, headers=headers)


def token(client: TestClient, **form: str) -> str:
    found: str = ask(client, grant_type="password", username="alice", password="pass word:ü", **form).json()[
        "access_token"
    ]
    return found


def predict(client: TestClient, headers: dict[str, str]) -> int:
    return client.post("/predict", json=BODY, headers=headers).status_code


def test_a_user_comes_in_with_basic(client: TestClient) -> None:
    assert predict(client, basic("alice", "pass word:ü")) == 200
    assert predict(client, basic("iris-only", "iris")) == 200
    assert predict(client, basic("other", "other")) == 403
    assert client.get("/metrics", headers=basic("alice", "pass word:ü")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "wrong")["Authorization"],
        basic("nobody", "secret")["Authorization"],
        basic("left", "gone")["Authorization"],
        "Basic !!!",
        b"Basic \x80",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic",
        "Digest abc",
    ],
)
def test_anything_else_is_refused_and_told_how(client: TestClient, header: str | bytes) -> None:
    answer = client.post("/predict", json=BODY, headers={"Authorization": header})
    assert answer.status_code == 401
    assert 'Basic realm="modelport", charset="UTF-8"' in answer.headers["www-authenticate"]


def test_basic_is_not_taken_where_it_is_off(serve: Callable[..., TestClient], users: Path, signing: Path) -> None:
    client = serve(users_file=users, token_key_file=signing)
    answer = client.post("/predict", json=BODY, headers=basic("alice", "pass word:ü"))
    assert answer.status_code == 401
    assert "Basic" not in answer.headers["www-authenticate"]


def test_many_requests_cost_one_check(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []
    right = module._is_right
    monkeypatch.setattr(module, "_is_right", lambda *given: checks.append(given) or right(*given))
    for _ in range(5):
        assert predict(client, basic("alice", "pass word:ü")) == 200
    assert len(checks) == 1


@pytest.mark.usefixtures("_long_locks")
def test_wrong_passwords_lock_that_name_out_and_nobody_else(client: TestClient) -> None:
    statuses = [predict(client, basic("alice", f"wrong {number}")) for number in range(FREE_FAILURES + 2)]
    assert statuses == [401] * FREE_FAILURES + [429, 429]
    answer = client.post("/predict", json=BODY, headers=basic("alice", "pass word:ü"))
    assert (answer.status_code, answer.json()["error"]) == (429, "locked_out")
    assert int(answer.headers["retry-after"]) >= 1
    assert predict(client, basic("iris-only", "iris")) == 200


def test_the_password_grant_gives_a_token_that_predicts(client: TestClient) -> None:
    answer = ask(client, grant_type="password", username="alice", password="pass word:ü")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "predict metrics")
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert predict(client, headers) == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    assert jwt.get_unverified_header(body["access_token"])["typ"] == "at+jwt"


def test_a_token_may_be_for_fewer_roles(client: TestClient) -> None:
    headers = {"Authorization": f"Bearer {token(client, scope='metrics')}"}
    assert predict(client, headers) == 403
    assert client.get("/metrics", headers=headers).status_code == 200


def test_clients_prove_themselves_in_the_form_or_in_the_header(client: TestClient) -> None:
    for headers, form in (
        (None, {"client_id": "pipeline", "client_secret": "secret"}),
        (basic("pipeline", "secret"), {}),
    ):
        answer = ask(client, headers, grant_type="client_credentials", **form)
        assert answer.status_code == 200
        assert predict(client, {"Authorization": f"Bearer {answer.json()['access_token']}"}) == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"scope": "predict"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "alice", "password": "wrong"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "pipeline", "password": "secret"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials", "client_id": "pipeline", "client_secret": "no"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "iris-only", "client_secret": "iris"}, 401,
         "invalid_client"),
        ({"grant_type": "password", "username": "iris-only", "password": "iris", "scope": "admin"}, 400,
         "invalid_scope"),
        ({f"field{number}": "" for number in range(20)}, 400, "invalid_request"),
    ],
)  # fmt: skip
def test_a_request_for_a_token_that_is_wrong(client: TestClient, form: dict[str, str], status: int, error: str) -> None:
    answer = ask(client, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"] == answer.json()["message"]


def test_the_body_must_be_a_form_without_doubles(client: TestClient) -> None:
    assert client.post("/oauth/token", json={"grant_type": "password"}).json()["error"] == "invalid_request"
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    for content in (b"grant_type=password&grant_type=password", b"grant_type=\xff", b"&" * 20):
        answer = client.post("/oauth/token", content=content, headers=headers)
        assert answer.json()["error"] in {"invalid_request", "unsupported_grant_type"}
        assert answer.status_code == 400
    answer = client.post("/oauth/token", content="grant_type=password", headers=headers | {"Authorization": "Basic !"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.usefixtures("_long_locks")
def test_the_endpoint_locks_out_as_well(client: TestClient) -> None:
    for _ in range(FREE_FAILURES + 1):
        ask(client, grant_type="password", username="alice", password="wrong")
    assert ask(client, grant_type="password", username="alice", password="pass word:ü").status_code == 429


def test_there_is_no_endpoint_without_keys(serve: Callable[..., TestClient], users: Path) -> None:
    client = serve(users_file=users, basic=True)
    assert ask(client, grant_type="password").status_code == 404


@pytest.mark.usefixtures("_no_following")
def test_a_user_who_is_removed_is_out_at_once(client: TestClient, users: Path) -> None:
    headers = {"Authorization": f"Bearer {token(client)}"}
    assert predict(client, headers) == predict(client, basic("alice", "pass word:ü")) == 200
    write_json(users, [user_entry("alice", "new", roles=["metrics"])])
    client.app.state.gate.look()  # type: ignore[attr-defined]
    assert predict(client, headers) == 403
    assert predict(client, basic("alice", "pass word:ü")) == 401
    write_json(users, [user_entry("bob", "x")])
    client.app.state.gate.look()  # type: ignore[attr-defined]
    assert predict(client, headers) == 401


@pytest.mark.usefixtures("_no_following")
def test_signing_keys_rotate_without_losing_anybody(client: TestClient, signing: Path) -> None:
    old = {"Authorization": f"Bearer {token(client)}"}
    before, new = signing.read_bytes(), pem(MAKERS["ES256"]())
    signing.write_bytes(new + before)
    client.app.state.gate.look()  # type: ignore[attr-defined]
    assert jwt.get_unverified_header(token(client))["alg"] == "ES256"
    assert predict(client, old) == 200
    signing.write_bytes(new)
    client.app.state.gate.look()  # type: ignore[attr-defined]
    assert predict(client, old) == 401


def test_a_token_expires(serve: Callable[..., TestClient], users: Path, signing: Path) -> None:
    client = serve(users_file=users, token_key_file=signing)
    claims = jwt.decode(token(client), options={"verify_signature": False})
    (key,) = read_signing_keys(signing)
    for change, status in (({}, 200), ({"exp": time.time() - 1}, 401), ({"aud": "x"}, 401), ({"roles": None}, 401)):
        forged = {name: value for name, value in (claims | change).items() if value is not None}
        signed = jwt.encode(forged, key.private, "EdDSA", {"kid": key.id})
        assert predict(client, {"Authorization": f"Bearer {signed}"}) == status


@pytest.mark.parametrize("name", ["RS256", "ES256", "EdDSA"])
def test_keys_of_every_kind_sign(tmp_path: Path, name: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(MAKERS[name]()))
    (key,) = read_signing_keys(path)
    assert key.algorithm == name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "expected PEM private keys"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "damaged or has a password"),
        (pem(dsa.generate_private_key(1024)), "expected Ed25519"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "expected Ed25519"),
        (pem(rsa.generate_private_key(65537, 1024)), "RSA of 2048 bits"),
    ],
)
def test_a_bad_signing_key_is_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=said):
        read_signing_keys(path)


@pytest.mark.parametrize(
    ("hash_", "said"),
    [
        ("in clear", "entry 1: hash"),
        ("$argon2id$broken", "expected an argon2id hash"),
        (PasswordHasher(1, 64, 1).hash("x").replace("m=64", "m=4194304"), "at most 1048576 KiB"),
    ],
)
def test_a_hash_that_is_no_use_is_refused(tmp_path: Path, hash_: str, said: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps([{"name": "a", "hash": hash_}]))
    with pytest.raises(SettingsInvalid, match=said):
        read_users(path)


def test_checks_wait_for_each_other_and_few_may(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, running, most = threading.Event(), [0], [0]

    def held(_: str, __: str) -> bool:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gate.wait(10)
        running[0] -= 1
        return True

    monkeypatch.setattr(module, "_is_right", held)
    known = {"a": User.model_validate(user_entry("a", "a"))}

    async def run() -> list[Any]:
        passwords = Passwords()
        asking = [asyncio.create_task(passwords.check(known, "a", "a")) for _ in range(module.MOST_WAITING + 3)]
        asyncio.get_running_loop().call_soon(gate.set)
        results = await asyncio.gather(*asking, return_exceptions=True)
        passwords.close()
        return results

    results = asyncio.run(run())
    assert sum(isinstance(result, Overloaded) for result in results) == 3
    assert sum(isinstance(result, User) for result in results) == module.MOST_WAITING
    assert most == [1]


def test_an_unknown_name_costs_a_check_too(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr(module, "_is_right", lambda hash_, _: checked.append(hash_) or True)
    user = User.model_validate(user_entry("a", "a"))

    async def run(known: dict[str, User]) -> User | None:
        passwords = Passwords()
        try:
            return await passwords.check(known, "b", "a")
        finally:
            passwords.close()

    assert asyncio.run(run({"a": user})) is None
    assert checked == [user.hash]
    assert asyncio.run(run({})) is None


def test_an_administrator_leaves_a_trail_and_secrets_leave_none(
    serve: Callable[..., TestClient], users: Path, signing: Path, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    client = serve(users_file=users, token_key_file=signing, basic=True)
    canary = "canary-7f3a"
    issued = token(client)
    for headers in (
        basic("alice", canary), basic(canary, "x"), {"X-API-Key": canary}, {"Authorization": f"Bearer {canary}"},
        {"Authorization": f"Bearer {canary}.{canary}.{canary}"}, {"Authorization": f"{canary} x"},
        {"Authorization": f"Bearer {issued[:-9]}{canary}"}, basic("alice", "pass word:ü"),
        {"Authorization": f"Bearer {issued}"},
    ):  # fmt: skip
        client.post("/predict", json=BODY, headers=headers)
        client.put("/admin/traffic", json={}, headers=headers)
    ask(client, grant_type="password", username="alice", password=canary)
    ask(client, grant_type="client_credentials", client_id="pipeline", client_secret=canary)
    audited = [record for record in caplog.records if record.name == "model_service.audit"]
    assert {(record.principal, record.status, record.outcome) for record in audited} >= {
        (None, 401, "refused"), ("alice", 403, "refused"),
    }  # fmt: skip
    assert all(record.path == "/admin/traffic" and record.request_id for record in audited)
    captured = capsys.readouterr()
    everything = caplog.text + captured.out + captured.err + str([vars(record) for record in caplog.records])
    assert "alice" in everything
    for secret in (canary, issued, "pass word", basic("alice", "pass word:ü")["Authorization"][6:]):
        assert secret not in everything


def test_what_fails_on_the_admin_port_is_noted_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 40)

    async def broken(*_: Any) -> None:
        raise RuntimeError

    scope: Any = {"type": "http", "method": "GET", "path": "/admin/models", "client": ("10.0.0.7", 1),
                  "headers": [(b"authorization", b"Bearer " + b"t" * 40)]}  # fmt: skip
    Exchange(scope, AsyncMock(), Mock())
    layer = Access(broken, Gate(AccessSettings.model_validate({}), token), lambda: None)
    with pytest.raises(RuntimeError):
        asyncio.run(layer(scope, AsyncMock(), AsyncMock()))  # type: ignore[arg-type]
    (record,) = [record for record in caplog.records if record.name == "model_service.audit"]
    assert (record.outcome, record.principal, record.address) == ("failed", "admin-token", "10.0.0.7")  # type: ignore[attr-defined]
