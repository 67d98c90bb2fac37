"""API keys: who comes in, with what, until when; files that are wrong or change."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import TracerProvider
from support.access import key_entry, write_json

from model_service.access.files import read_entries
from model_service.access.gate import Gate
from model_service.access.keys import Key
from model_service.access.layer import Access
from model_service.access.settings import AccessSettings
from model_service.app import create_app
from model_service.errors import SettingsInvalid
from model_service.settings import Settings
from model_service.telemetry.requests import Exchange

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    write_json(
        path,
        [
            key_entry("shop", "right"),
            key_entry("ops", "ops", roles=["admin"]),
            key_entry("scraper", "scraper", roles=["metrics"]),
            key_entry("nobody", "nobody", roles=[]),
            key_entry("old", "old", expires="2020-01-01"),
            key_entry("later", "later", expires="2999-01-01T00:00:00+01:00"),
            key_entry("iris-only", "iris-only", models=["iris"]),
            key_entry("other", "other", models=["churn"]),
        ],
    )
    return path


@pytest.fixture
def client(serve: Callable[..., TestClient], keys: Path) -> TestClient:
    return serve(keys_file=keys)


def predict(client: TestClient, path: str = "/predict", **headers: str) -> Any:
    return client.post(path, json=BODY, headers=headers)


@pytest.mark.parametrize("headers", [{"X-API-Key": "right"}, {"Authorization": "Bearer right"},
                                     {"Authorization": "bearer  right"}, {"X-API-Key": "later"}])  # fmt: skip
def test_a_key_comes_in_either_header(client: TestClient, headers: dict[str, str]) -> None:
    assert predict(client, **headers).status_code == 200


def test_without_a_key_there_is_no_answer(client: TestClient) -> None:
    answer = predict(client)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="modelport"'
    body = answer.json()
    assert (body["error"], body["detail"]) == ("unauthenticated", [])
    assert "X-API-Key" in body["message"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("key", ["wrong", "old", "", "right2", "RIGHT", "\xff"])
def test_a_wrong_or_expired_key_is_refused(client: TestClient, key: str) -> None:
    for headers in ({"X-API-Key": key.encode("latin-1")}, {"Authorization": b"Bearer " + key.encode("latin-1")}):
        answer = client.post("/predict", json=BODY, headers=headers)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_scope_that_is_missing_is_named(client: TestClient) -> None:
    answer = client.get("/metrics", headers={"X-API-Key": "right"})
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"].endswith('error="insufficient_scope", scope="metrics"')
    assert "metrics" in answer.json()["message"]
    assert "shop" in answer.json()["message"]


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("right", {"/openapi.json", "/docs", "/redoc"}),
        ("ops", {"/openapi.json", "/docs", "/redoc", "/metrics"}),
        ("scraper", {"/metrics"}),
        ("nobody", set()),
    ],
)
def test_roles_decide(client: TestClient, key: str, allowed: set[str]) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/metrics"):
        expected = 200 if path in allowed else 403
        assert client.get(path, headers={"X-API-Key": key}).status_code == expected


@pytest.mark.parametrize("path", ["/predict", "/models/iris/predict", "/models/iris/versions/1/predict"])
def test_a_key_may_be_limited_to_models(client: TestClient, path: str) -> None:
    assert predict(client, path, **{"X-API-Key": "iris-only"}).status_code == 200
    answer = predict(client, path, **{"X-API-Key": "other"})
    assert answer.status_code == 403
    assert "iris" in answer.json()["message"]


def test_what_nobody_listed_is_not_found_for_those_who_may_come_in(client: TestClient) -> None:
    for path in ("/", "/nothing", "/docs/", "//docs", "/metrics%0A"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"X-API-Key": "right"}).status_code == 404


def test_the_two_probes_are_open(client: TestClient) -> None:
    assert client.get("/health").status_code == 200
    assert client.get("/health/live").status_code == 200


def test_documents_and_metrics_can_be_opened(serve: Callable[..., TestClient], keys: Path) -> None:
    client = serve(keys_file=keys, open_docs=True, open_metrics=True)
    assert {client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json", "/metrics")} == {200}
    assert predict(client).status_code == 401


def test_browsers_of_other_origins_may_ask_first(root: Path, keys: Path) -> None:
    settings = {"model_root": root, "allow_pickle": True, "cors_allow_origins": "https://a.example.com",
                "access": {"keys_file": keys}}  # fmt: skip
    with TestClient(create_app(Settings.model_validate(settings))) as client:
        origin = {"origin": "https://a.example.com"}
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
        assert client.options("/predict", headers=origin | asked).status_code == 200
        refused = client.post("/predict", json=BODY, headers=origin)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://a.example.com"


def test_spans_name_the_principal(keys: Path) -> None:
    provider, gate = TracerProvider(), Gate(AccessSettings.model_validate({"keys_file": keys}))
    scope: Any = {"method": "POST", "path": "/predict", "headers": [(b"x-api-key", b"right")], "type": "http"}
    exchange = Exchange(scope, AsyncMock(), Mock())
    exchange.span = span = provider.get_tracer(__name__).start_span("POST")
    passed = AsyncMock()
    asyncio.run(Access(passed, gate, lambda: None)(scope, AsyncMock(), AsyncMock()))  # type: ignore[arg-type]
    assert passed.await_count == 1
    assert span.attributes["enduser.id"] == "shop"  # type: ignore[attr-defined]
    assert scope["state"]["principal"].name == "shop"


def test_a_changed_file_counts_and_a_broken_one_does_not(keys: Path) -> None:
    gate = Gate(AccessSettings.model_validate({"keys_file": keys}))
    assert gate.known({b"x-api-key": b"right"}) is not None
    write_json(keys, [key_entry("new", "new key")])
    gate.look()
    assert gate.known({b"x-api-key": b"right"}) is None
    assert gate.known({b"authorization": b"Bearer new key"}) is not None
    for broken in ("{", "[{}]", "nothing"):
        keys.write_text(broken)
        gate.look()
        assert gate.known({b"x-api-key": b"new key"}) is not None
    keys.unlink()
    gate.look()
    assert gate.known({b"x-api-key": b"new key"}) is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[{", "not YAML or JSON"),
        ("{}", "expected a list"),
        ('[{"name": "a", "hash": "secret-in-clear"}]', "entry 1: hash"),
        ('[{"name": "a b", "hash": "x"}]', "entry 1: name"),
        (json.dumps([key_entry("a", "x"), key_entry("a", "y")]), "entries 1 and 2 have the same name"),
        (json.dumps([key_entry("a", "x"), key_entry("b", "x")]), "entries 1 and 2 have the same hash"),
        (
            json.dumps([key_entry("a", "x", roles=["root"])]),
            "expected roles of predict, docs, metrics, admin, got root",
        ),
        (json.dumps([key_entry("a", "x", expires="soon")]), "entry 1: expires"),
        (json.dumps([key_entry("a", "x", expires="2030-01-01T10:00:00")]), "entry 1: expires"),
        (json.dumps([key_entry("a", "x", rolls=["predict"])]), "entry 1: rolls"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_bad_file_is_a_sentence_without_secrets(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "keys.yaml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsInvalid) as refused:
        read_entries(path, Key)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert "secret-in-clear" not in str(refused.value)


def test_yaml_writes_times_in_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    hashes = [key_entry(name, name)["hash"] for name in "ab"]
    path.write_text(
        f"- {{name: a, hash: '{hashes[0]}', expires: 2030-01-01}}\n"
        f"- {{name: b, hash: '{hashes[1]}', expires: 2030-01-01T00:00:00Z}}\n"
    )
    first, second = read_entries(path, Key)
    assert first.expires_at == second.expires_at == 1893456000.0


def test_an_administrators_token_may_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("t" * 40 + "\n")
    gate = Gate(AccessSettings.model_validate({}), path)
    principal = gate.known({b"authorization": b"Bearer " + b"t" * 40})
    assert principal is not None
    assert (principal.name, principal.roles) == ("admin-token", {"admin"})
    path.write_text("short")
    with pytest.raises(SettingsInvalid, match="at least 32"):
        Gate(AccessSettings.model_validate({}), path)
