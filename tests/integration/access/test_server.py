"""Access control of real servers: two workers, real sockets, files that change while they serve."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from support.access import AUDIENCE, MAKERS, issuing, key_entry, pem, user_entry, write_json
from support.bundles import write_iris
from support.service import Service, running, wait_for

from model_service.access.lockout import FREE_FAILURES
from model_service.access.policy import POLICY

BODY = json.dumps({"features": [5.1, 3.5, 1.4, 0.2]}).encode()
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_iris(tmp_path_factory.mktemp("models"))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder as Kubernetes mounts a Secret: files are links through one link, which is swapped."""
    folder = tmp_path / "secret"
    (folder / "1").mkdir(parents=True)
    write_json(folder / "1" / "keys.yaml", [key_entry("shop", "first", roles=["predict", "metrics"])])
    (folder / "..data").symlink_to("1")
    (folder / "keys.yaml").symlink_to("..data/keys.yaml")
    return folder


@pytest.fixture
def service(root: Path, secret: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Service]:
    settings = {"WORKERS": "2", "ACCESS__KEYS_FILE": str(secret / "keys.yaml")}
    with running(root, free_port(), tmp_path, **settings) as found:
        yield found


def status(service: Service, key: str | None = None, path: str = "/predict", **headers: str) -> int:
    """Of a prediction on a connection of its own, so that any worker may get it."""
    given = JSON | {"connection": "close"} | headers | ({"x-api-key": key} if key else {})
    found: int = service.request("POST", path, body=BODY, headers=given).status
    return found


def test_no_way_to_the_model_leads_around_the_gate(service: Service) -> None:
    paths = (
        "/predict", "/predict/batch", "/models/iris/predict", "/models/iris/versions/1/predict/batch",
        "/predict?version=1", "//predict", "/predict/", "/%70redict", "/health/../predict", "/PREDICT",
    )  # fmt: skip
    for path in paths:
        assert status(service, path=path) == 401, path
        assert status(service, "wrong", path) in {401, 429}, path
    assert status(service, "first") == 200
    assert status(service, authorization="Bearer first") == 200
    assert service.request("GET", "/metrics").status == 401
    assert service.request("GET", "/metrics", headers={"x-api-key": "first"}).status == 200
    for path in ("/health", "/health/live"):
        assert service.request("GET", path).status == 200


def test_every_route_of_every_port_is_refused_without_a_credential(
    root: Path, secret: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    token = tmp_path / "token"
    token.write_text("t" * 40)
    admin, users, signing = free_port(), tmp_path / "users.json", tmp_path / "signing.pem"
    write_json(users, [user_entry("alice", "password")])
    signing.write_bytes(pem(MAKERS["EdDSA"]()))
    settings = {
        "ACCESS__KEYS_FILE": str(secret / "keys.yaml"), "ACCESS__USERS_FILE": str(users),
        "ACCESS__TOKEN_KEY_FILE": str(signing), "ADMIN__PORT": str(admin), "ADMIN__TOKEN_FILE": str(token),
    }  # fmt: skip
    with running(root, free_port(), tmp_path, **settings) as service:
        for port in (service.port, admin):
            with urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False, timeout=30) as pool:
                for route, needs in POLICY.items():
                    method, path = route.split()
                    path = path.replace("{name}", "iris").replace("{version}", "1")
                    body = BODY if method in {"POST", "PUT"} else None
                    answer = pool.request(method, path, body=body, headers=JSON)
                    assert (answer.status == 401) == (needs.scope is not None), (port, route, answer.status)
                bearer = {"authorization": "Bearer " + "t" * 40}
                assert pool.request("GET", "/admin/models", headers=bearer).status == (200 if port == admin else 404)
                assert pool.request("GET", "/metrics", headers=bearer).status == (404 if port == admin else 200)


def test_raw_requests_that_try_to_confuse_are_refused(service: Service) -> None:
    length = f"content-length: {len(BODY)}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    for head in (
        "POST http://localhost/predict HTTP/1.1\r\nhost: x\r\n",
        "POST /predict#/health HTTP/1.1\r\nhost: x\r\n",
        "POST /health/live\t/predict HTTP/1.1\r\nhost: x\r\n",
        "POST /predict HTTP/1.1\r\nhost: x\r\nx-api-key: \r\n",
        "POST /predict HTTP/1.1\r\nhost: x\r\nx_api_key: first\r\n",
        "POST /predict HTTP/1.1\r\nhost: x\r\nx-api-key: first\r\nx-api-key: wrong\r\n",
        "POST /predict HTTP/1.0\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.port), 30) as connection:
            connection.sendall((head + length).encode() + BODY)
            answer = connection.makefile("rb").readline().decode()
        assert answer.split()[1] in {"400", "401", "404"}, (head, answer)


def test_keys_rotate_in_every_worker_without_a_restart(service: Service, secret: Path) -> None:
    pids = {worker.pid for worker in service.workers()}
    (secret / "2").mkdir()
    write_json(secret / "2" / "keys.yaml", [key_entry("shop", "second")])
    (secret / "new").symlink_to("2")
    (secret / "new").rename(secret / "..data")
    wait_for(
        lambda: all(status(service, "second") == 200 for _ in range(20)), lambda: "the new key is not taken everywhere"
    )
    wait_for(
        lambda: {status(service, "first") for _ in range(20)} <= {401, 429}, lambda: "the old key is taken somewhere"
    )
    assert {worker.pid for worker in service.workers()} == pids


def test_who_is_locked_out_by_one_worker_is_locked_out_by_all(service: Service) -> None:
    first, second = service.workers()
    assert status(service, "first") == 200  # on the connection that is open: the next ones are new
    first.suspend()
    try:
        told = [status(service, "wrong") for _ in range(FREE_FAILURES + 10)]
    finally:
        first.resume()
    assert told == [401] * FREE_FAILURES + [429] * 10
    second.suspend()
    try:
        assert status(service, "wrong") == 429
        assert status(service, "first") == 200
    finally:
        second.resume()


def test_the_log_names_the_principal_and_never_a_secret(service: Service) -> None:
    assert status(service, "first") == 200
    assert status(service, "canary-of-a-key") == 401
    assert status(service, authorization="Basic Y2FuYXJ5LW9mLWEta2V5OnB3") == 401
    assert service.stop() == 0  # every line is written by then
    lines = service.lines()
    assert sorted(line["status"] for line in lines if line.get("path") == "/predict") == [200, 401, 401]
    assert any(line.get("principal") == "shop" for line in lines)
    text = service.log.read_text()
    assert "canary" not in text
    assert "Y2FuYXJ5" not in text
    assert "first" not in text.replace(str(service.log.parent), "")


def test_users_tokens_and_an_issuer_together(root: Path, tmp_path: Path, free_port: Callable[[], int]) -> None:
    users, signing = tmp_path / "users.json", tmp_path / "signing.pem"
    write_json(users, [user_entry("alice", "password"), user_entry("pipeline", "secret", client=True)])
    signing.write_bytes(pem(MAKERS["ES256"]()))
    with issuing() as issuer:
        issuer.add("one", "RS256")
        settings = {
            "ACCESS__USERS_FILE": str(users), "ACCESS__TOKEN_KEY_FILE": str(signing), "ACCESS__BASIC": "true",
            "ACCESS__JWT_ISSUER": issuer.url, "ACCESS__JWT_AUDIENCE": AUDIENCE, "WORKERS": "2",
        }  # fmt: skip
        with running(root, free_port(), tmp_path, **settings) as service:
            form = {"grant_type": "client_credentials", "client_id": "pipeline", "client_secret": "secret"}
            answer = service.request("POST", "/oauth/token", fields=form, encode_multipart=False)
            assert answer.status == 200, answer.data
            own = json.loads(answer.data)["access_token"]
            for credential in (f"Bearer {own}", f"Bearer {issuer.token('one')}", "Basic YWxpY2U6cGFzc3dvcmQ="):
                assert {status(service, authorization=credential) for _ in range(6)} == {200}
            issuer.add("two", "ES256")
            rotated = f"Bearer {issuer.token('two')}"
            wait_for(lambda: {status(service, authorization=rotated) for _ in range(6)} == {200}, lambda: "not taken")
            assert status(service, authorization=f"Bearer {own[:-4]}AAAA") in {401, 429}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"KEYS_FILE": "/nowhere"}, "MODELPORT_ACCESS__KEYS_FILE"),
        ({"KEYS_FILE": "bad.json"}, "entry 1: hash"),
        ({"BASIC": "true"}, "need users_file"),
        ({"JWT_ISSUER": "https://issuer.example.com"}, "needs jwt_audience"),
        ({"USERS_FILE": "bad.json"}, "users_file needs"),
        ({"OPEN_METRICS": "true"}, "access control is off"),
        ({"JWT_ROLES": "ml=root"}, "expected value=role"),
    ],
)
def test_settings_that_would_leave_the_door_open_stop_the_start(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    (tmp_path / "bad.json").write_text('[{"name": "a", "hash": "b"}]')
    env = {f"MODELPORT_ACCESS__{name}": text for name, text in settings.items()}
    result = subprocess.run(
        [sys.executable, "-m", "model_service"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_a_package_that_is_missing_names_its_install_command(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("[]")
    (tmp_path / "argon2.py").write_text("raise ModuleNotFoundError(\"No module named 'argon2'\", name='argon2')")
    env: dict[str, Any] = {
        "MODELPORT_ACCESS__USERS_FILE": "users.json", "MODELPORT_ACCESS__BASIC": "true", "PYTHONPATH": str(tmp_path),
    }  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-m", "model_service"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "argon2" in result.stderr
    assert "pip install 'modelport[access]'" in result.stderr
