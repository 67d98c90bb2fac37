"""A Redis Cluster is no place for limits: who names one is told at the start, and a server that is away is not one."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from support.redis import RedisServer

from model_service.errors import SettingsInvalid
from model_service.limits.check import check
from model_service.limits.settings import LimitsSettings

PATIENT = """
from model_service.__main__ import main
from model_service.limits import check, client
check.CONNECT_SECONDS = client.CONNECT_SECONDS = 60.0
main()
"""
RULES = [{"per": "address", "rate": "10/day"}]


def settings(url: str, **more: object) -> LimitsSettings:
    return LimitsSettings.model_validate({"rules": RULES, "redis_url": url} | more)


@pytest.fixture
def node(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[RedisServer]:
    """The only node of a cluster that has no slots yet."""
    given = {"enabled": "yes", "config-file": str(tmp_path / "nodes.conf"), "port": str(free_port())}
    server = RedisServer(free_port(), None, *(text for name in given for text in (f"--cluster-{name}", given[name])))
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("slots", [None, (0, 16383), (0, 0)])
def test_a_node_of_a_cluster_is_refused(node: RedisServer, slots: tuple[int, int] | None) -> None:
    if slots:
        with redis.Redis(port=node.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
            client.config_set("cluster-require-full-coverage", "no")
    with pytest.raises(SettingsInvalid, match="a node of a Redis Cluster"):
        check(settings(node.url))


def test_the_start_ends_with_the_sentence(node: RedisServer, tmp_path: Path) -> None:
    env = {
        "MODELPORT_LIMITS__RULES": '[{"per": "address", "rate": "10/day"}]',
        "MODELPORT_LIMITS__REDIS_URL": node.url,
    }
    for arguments, code in ((), 2), (("--show-settings",), 0):
        result = subprocess.run(
            [sys.executable, "-c", PATIENT, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == code, result.stderr
        assert result.stderr.count("\n") == (code == 2)
        assert ("expected one Redis server, got a node of a Redis Cluster" in result.stderr) == (code == 2)


def test_one_server_or_none_yet_may_be_named(
    redis_server: RedisServer, password_file: Path, free_port: Callable[[], int]
) -> None:
    check(settings(redis_server.url, redis_password_file=password_file))
    check(settings(redis_server.url))  # a password that is missing is told when it is asked in earnest
    check(settings(f"redis://127.0.0.1:{free_port()}"))
    check(LimitsSettings.model_validate({}))
