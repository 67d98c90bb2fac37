"""Every route of both ports asks for something, except those that are open on purpose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from support.access import MAKERS, key_entry, pem, user_entry, write_json

from model_service.access.policy import POLICY
from model_service.app import create_app
from model_service.settings import Settings

OPEN = {("GET", "/health"), ("GET", "/health/live"), ("POST", "/oauth/token")}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.fixture
def apps(root: Path, tmp_path: Path) -> dict[str, FastAPI]:
    """The applications of all ports, with everything turned on that adds routes."""
    keys, users, signing, token = (tmp_path / name for name in ("keys", "users", "signing", "token"))
    write_json(keys, [key_entry("all", "all", roles=["predict", "metrics", "admin"])])
    write_json(users, [user_entry("alice", "password")])
    signing.write_bytes(pem(MAKERS["EdDSA"]()))
    token.write_text("t" * 40)
    settings = {
        "model_root": root, "allow_pickle": True,
        "access": {"keys_file": keys, "users_file": users, "token_key_file": signing, "basic": True},
        "admin": {"port": 1, "token_file": token},
    }  # fmt: skip
    public = create_app(Settings.model_validate(settings))
    return {"public": public, "admin": public.state.admin}


def routes(app: Any) -> Iterator[tuple[str, str]]:
    """Method and template of every route, those outside the document included."""
    for route in app.routes:
        if hasattr(route, "original_router"):
            yield from routes(route.original_router)
        else:
            yield from ((method, route.path) for method in route.methods)  # another kind of route fails here


def filled(path: str) -> str:
    return path.replace("{name}", "iris").replace("{version}", "1")


def test_every_route_is_in_the_table(apps: dict[str, FastAPI]) -> None:
    served = {f"{method} {path}" for app in apps.values() for method, path in routes(app)}
    assert served <= POLICY.keys()
    assert len(served) > 15


def test_without_a_credential_nothing_answers_but_what_is_open(apps: dict[str, FastAPI]) -> None:
    with TestClient(apps["public"], raise_server_exceptions=False) as public:
        admin = TestClient(apps["admin"], raise_server_exceptions=False)
        paths = {filled(path) for app in apps.values() for _, path in routes(app)} | {"/", "/static", "/debug"}
        for port, client in (("public", public), ("admin", admin)):
            for path in sorted(paths):
                for method in METHODS:
                    status = client.request(method, path).status_code
                    assert (status != 401) == ((method, path) in OPEN), (port, method, path, status)


def test_what_is_open_answers(apps: dict[str, FastAPI]) -> None:
    with TestClient(apps["public"]) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health/live").status_code == 200
        assert client.post("/oauth/token").status_code == 400
    assert TestClient(apps["admin"]).get("/health").status_code == 200


def test_neither_port_answers_for_the_other(apps: dict[str, FastAPI]) -> None:
    headers = {"X-API-Key": "all"}
    with TestClient(apps["public"]) as public:
        assert public.get("/admin/models", headers=headers).status_code == 404
        admin = TestClient(apps["admin"])
        assert admin.post("/predict", json={}, headers=headers).status_code == 404
        assert admin.get("/metrics", headers={"Authorization": "Bearer " + "t" * 40}).status_code == 404


def test_a_path_with_many_names_does_not_fill_the_memory(apps: dict[str, FastAPI]) -> None:
    with TestClient(apps["public"]) as client:
        for number in range(1100):
            assert client.get(f"/models/{number}/nothing").status_code == 401
        long = "x" * 5000
        assert client.post(f"/models/{long}/predict", json={}).status_code == 401
        answer = client.post(f"/models/{long}/predict", json={}, headers={"X-API-Key": "all"})
        assert (answer.status_code, answer.json()["error"]) == (404, "model_not_found")
