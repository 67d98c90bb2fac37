"""Credentials made on the command line are those that the service takes."""

import re
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from argon2 import PasswordHasher
from click.testing import CliRunner

from model_service.access.gate import Gate
from model_service.access.settings import AccessSettings
from model_service.access.users import read_users
from modelport.cli import main


def test_a_key_that_was_created_opens_the_gate(run, tmp_path: Path):
    path = tmp_path / "keys.yaml"
    options = ["--role", "predict", "--role", "metrics", "--model", "churn", "--expires", "2999-12-31"]
    first = run("keys", "create", "shop", *options, "--file", str(path)).output.strip()
    second = run("keys", "create", "other", "--file", str(path)).output.strip()
    gate = Gate(AccessSettings.model_validate({"keys_file": path}))
    principal = gate.known({b"x-api-key": first.encode()})
    assert (principal.name, principal.roles, principal.models) == ("shop", {"predict", "metrics"}, {"churn"})
    assert gate.known({b"x-api-key": second.encode()}).roles == {"predict"}
    assert re.fullmatch(r"mpk_[\w-]{43}", first)
    assert first not in path.read_text()


def test_without_a_file_key_and_entry_are_shown(run):
    text = run("keys", "create", "shop").output
    key = re.search(r"mpk_\S+", text)[0]
    (entry,) = yaml.safe_load(text.split("FILE:\n")[1])
    assert entry == {"name": "shop", "hash": f"sha256:{sha256(key.encode()).hexdigest()}", "roles": ["predict"]}


def test_a_password_is_asked_for_and_hashed(run, tmp_path: Path):
    def asked(*arguments: str) -> int:
        return CliRunner().invoke(main, ["keys", "password", *arguments], input="s3cret\ns3cret\n").exit_code

    path = tmp_path / "users.yaml"
    path.write_text("# people")
    assert asked("alice", "--file", str(path)) == 0
    assert run("keys", "password", "job", "--client", "--password", "x", "--file", str(path)).exit_code == 0
    users = read_users(path)
    assert PasswordHasher().verify(users["alice"].hash, "s3cret")
    assert (users["alice"].client, users["job"].client) == (False, True)
    assert "$argon2id$" in run("keys", "password", "bob", "--password", "x").output


def test_a_name_is_given_once(run, tmp_path: Path):
    path = tmp_path / "keys.yaml"
    run("keys", "create", "shop", "--file", str(path))
    before = path.read_text()
    result = run("keys", "create", "shop", "--file", str(path))
    assert result.exit_code == 1
    assert "has an entry 'shop' already" in result.stderr
    assert path.read_text() == before


@pytest.mark.parametrize("content", ["{", "a: 1", '[{"name": "a"}]'])
def test_a_file_of_another_kind_is_left_alone(run, tmp_path: Path, content: str):
    path = tmp_path / "keys.yaml"
    path.write_text(content)
    result = run("keys", "create", "shop", "--file", str(path))
    assert result.exit_code == 1
    assert "add this yourself" in result.stderr
    assert path.read_text() == content


@pytest.mark.parametrize("name", ["a b", "a:b", ""])
def test_a_bad_name_is_a_usage_error(run, name: str):
    assert run("keys", "create", name).exit_code == 2
