"""What /docs and /openapi.json say about access."""

import re
from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient
from support.access import AUDIENCE, MAKERS, Issuer, key_entry, pem, user_entry, write_json

from model_service.access.documentation import ROLE_MEANINGS
from model_service.access.principal import ROLES


def test_the_document_has_every_way_and_each_operation_asks_for_one(
    serve: Callable[..., TestClient], tmp_path: Path, issuer: Issuer
) -> None:
    keys, users, signing = tmp_path / "keys", tmp_path / "users", tmp_path / "signing"
    write_json(keys, [key_entry("shop", "right")])
    write_json(users, [user_entry("alice", "password")])
    signing.write_bytes(pem(MAKERS["EdDSA"]()))
    client = serve(
        keys_file=keys, users_file=users, token_key_file=signing, basic=True, open_docs=True,
        jwt_issuer=issuer.url, jwt_audience=AUDIENCE,
    )  # fmt: skip
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"apiKey", "http", "oauth2"}
    asked = {
        f"{method} {path}": {name for way in operation.get("security", ()) for name in way}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert asked["post /predict"] == asked["get /metrics"] == set(schemes)
    for path in ("get /health", "get /health/live", "post /oauth/token"):
        assert asked[path] == set()
    known = set(re.findall(r"^    (\w+): \{(?: fields|$)", client.get("/docs").text, re.MULTILINE))
    assert {scheme.get("scheme", scheme["type"]) for scheme in schemes.values()} <= known
    assert ROLE_MEANINGS.keys() == ROLES.keys()


def test_only_what_is_on_is_shown(serve: Callable[..., TestClient], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    write_json(keys, [key_entry("shop", "right")])
    client = serve(keys_file=keys)
    document = client.get("/openapi.json", headers={"X-API-Key": "right"}).json()
    assert list(document["components"]["securitySchemes"]) == ["key"]
    assert "/oauth/token" not in document["paths"]


def test_without_access_control_nothing_is_said(serve: Callable[..., TestClient]) -> None:
    document = serve().get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert not any("security" in operation for methods in document["paths"].values() for operation in methods.values())
