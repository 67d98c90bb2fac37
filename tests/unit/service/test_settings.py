"""Layers, origins, and bad settings that stop the start with a sentence."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from model_service.errors import SettingsInvalid
from model_service.settings import FIELDS, effective, load_settings, written

REPO = Path(__file__).parents[3]


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Load settings from given layers only: config.yaml's text, .env's text, the environment, flags."""

    def run(config: str = "", dotenv: str = "", flags: dict[str, Any] | None = None, **env: str) -> Any:
        (tmp_path / "config.yaml").write_text(config)
        (tmp_path / ".env").write_text(dotenv)
        env.setdefault("MODELPORT_CONFIG_FILE", str(tmp_path / "config.yaml"))
        return load_settings(flags, env, tmp_path / ".env")

    return run


def test_each_layer_wins_over_the_one_before(load: Any) -> None:
    config, dotenv, env = "api_port: 1001", "MODELPORT_API_PORT=1002", {"MODELPORT_API_PORT": "1003"}
    for layers, flags, port, origin in (
        ((), {}, 8000, "default"),
        ((config,), {}, 1001, "config.yaml"),
        ((config, dotenv), {}, 1002, ".env"),
        ((config, dotenv), env, 1003, "environment"),
    ):
        settings, origins = load(*layers, **flags)
        assert settings.api_port == port
        assert origins["api_port"].endswith(origin)
    settings, origins = load(config, dotenv, {"api_port": 1004, "workers": None}, **env)
    assert (settings.api_port, origins["api_port"], origins["workers"]) == (1004, "command line", "default")


def test_workers_flag_then_own_name_then_the_standard_one(load: Any) -> None:
    assert load(WEB_CONCURRENCY="3")[0].workers == 3
    assert load(WEB_CONCURRENCY="3", MODELPORT_WORKERS="4")[0].workers == 4
    assert load("", "MODELPORT_WORKERS=4", WEB_CONCURRENCY="3")[0].workers == 4
    assert load("workers: 4", WEB_CONCURRENCY="3")[0].workers == 4
    assert load("", "", {"workers": 5}, WEB_CONCURRENCY="3", MODELPORT_WORKERS="4")[0].workers == 5
    assert load(WEB_CONCURRENCY="3")[1]["workers"] == "WEB_CONCURRENCY"
    assert load(WEB_CONCURRENCY="3", MODELPORT_WORKERS="")[0].workers == 3


@pytest.mark.parametrize("name", ["config.yaml", ".env"])
def test_a_file_that_is_no_text_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"workers=\xff")
    env = {"MODELPORT_CONFIG_FILE": str(tmp_path / "config.yaml")} if name == "config.yaml" else {}
    with pytest.raises(SettingsInvalid, match=f"{name} cannot be read"):
        load_settings(None, env, tmp_path / ".env")


def test_a_group_is_one_map_in_yaml_and_double_underscores_elsewhere(load: Any) -> None:
    settings, origins = load(
        "access: {token_seconds: 100, jwt_required_claims: [a, b]}", MODELPORT_ACCESS__JWT_SKEW_SECONDS="5"
    )
    assert (settings.access.token_seconds, settings.access.jwt_skew_seconds, settings.access.basic) == (100, 5, False)
    assert settings.access.jwt_required_claims == ("a", "b")
    assert origins["access__token_seconds"].endswith("config.yaml")
    assert (origins["access__jwt_skew_seconds"], origins["access__basic"]) == ("environment", "default")
    settings, _ = load("access: {token_seconds: 100}", "MODELPORT_ACCESS__TOKEN_SECONDS=200")
    assert settings.access.token_seconds == 200


def test_a_version_may_be_written_as_a_number(load: Any) -> None:
    assert load("model_version: 3")[0].model_version == "3"


def test_settings_are_frozen(load: Any) -> None:
    settings, _ = load()
    with pytest.raises(ValidationError):
        settings.api_port = 1


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({"MODELPORT_API_PORT": "hello"}, ["MODELPORT_API_PORT", "environment", "integer", "hello"]),
        ({"MODELPORT_API_PORT": "70000"}, ["MODELPORT_API_PORT", "65535"]),
        ({"MODELPORT_ALLOW_PICKEL": "1"}, ["MODELPORT_ALLOW_PICKEL", "did you mean MODELPORT_ALLOW_PICKLE"]),
        ({"dotenv": "MODELPORT_WORKRES=2"}, ["MODELPORT_WORKRES", ".env", "MODELPORT_WORKERS"]),
        ({"config": "worker: 2"}, ["config.yaml", "worker", "did you mean workers"]),
        ({"config": "workers: many"}, ["MODELPORT_WORKERS", "config.yaml", "many"]),
        ({"config": "- a\n- b"}, ["config.yaml", "name: value", "list"]),
        ({"config": "a: [1"}, ["config.yaml", "cannot be read"]),
        ({"MODELPORT_CONFIG_FILE": "/nowhere.yaml"}, ["MODELPORT_CONFIG_FILE", "/nowhere.yaml"]),
        ({"WEB_CONCURRENCY": "auto"}, ["WEB_CONCURRENCY", "auto"]),
        ({"MODELPORT_REQUIRE_PINNED__": "true"}, ["MODELPORT_REQUIRE_PINNED__", "did you mean"]),
        ({"MODELPORT_ACCESS__TOKEN_SECONDS": "1"}, ["MODELPORT_ACCESS__TOKEN_SECONDS", "environment", "30", "'1'"]),
        ({"MODELPORT_ACCESS__BASICS": "1"}, ["MODELPORT_ACCESS__BASICS", "did you mean MODELPORT_ACCESS__BASIC?"]),
        ({"MODELPORT_ACCESS": "{}"}, ["MODELPORT_ACCESS", "unknown"]),
        ({"MODELPORT_ACCESS__BASIC": "true"}, ["MODELPORT_ACCESS: basic and token_key_file need users_file"]),
        ({"config": "access: {basics: true}"}, ["config.yaml", "access.basics", "did you mean access.basic?"]),
        ({"config": "access: on"}, ["config.yaml", "access", "name: value", "True"]),
        ({"MODELPORT_SERVICE_HOST": "10.0.0.1"}, ["MODELPORT_SERVICE_HOST", "enableServiceLinks"]),
    ],
)
def test_a_bad_setting_is_a_sentence(load: Any, layers: dict[str, str], said: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load(**layers)
    for part in said:
        assert part in str(refused.value)


def test_other_programs_settings_are_left_alone(load: Any) -> None:
    settings, _ = load(
        dotenv="DATABASE_URL=postgres://x\nMODELPORT_WORKERS=2\n", MODELPORT_FETCH_URI="gs://b/m", PATH="/"
    )
    assert settings.workers == 2


def test_every_setting_is_shown_with_its_origin(load: Any) -> None:
    rows = effective(*load(MODELPORT_MODEL_NAME="churn"))
    assert [row["setting"] for row in rows] == [f"MODELPORT_{name.upper()}" for name in FIELDS]
    assert {"setting": "MODELPORT_MODEL_NAME", "value": "churn", "origin": "environment"} in rows


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in FIELDS.items() if not field.description] == []


def test_the_example_environment_lists_every_setting_at_its_default() -> None:
    lines = (REPO / ".env.example").read_text().splitlines()
    listed = dict(line.removeprefix("# ").split("=", 1) for line in lines if line.startswith("# MODELPORT_"))
    defaults = {f"MODELPORT_{name.upper()}": field.default for name, field in FIELDS.items()}
    assert listed == {name: written(value) for name, value in defaults.items()}


def test_the_start_is_refused_with_exit_code_2_and_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "model_service"], env={"MODELPORT_API_PORT": "hello"}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "MODELPORT_API_PORT" in result.stderr


def test_settings_can_be_shown_as_a_table_and_as_json(tmp_path: Path) -> None:
    for extra, expected in (([], "MODELPORT_WORKERS"), (["--json"], '"setting": "MODELPORT_WORKERS"')):
        result = subprocess.run(
            [sys.executable, "-m", "model_service", "--workers", "7", "--show-settings", *extra], env={}, cwd=tmp_path,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert expected in result.stdout
        assert "command line" in result.stdout
