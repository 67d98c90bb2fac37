"""A Redis for each test, and servers that count in it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bundles import write_bare
from support.estimators import Slow
from support.redis import RedisServer
from support.service import running


def to_the_minute(state: str) -> str:
    """An item of the `RateLimit` field with its seconds rounded up: some of them may pass between two requests."""
    head, _, seconds = state.rpartition("=")
    return f"{head}={math.ceil(int(seconds) / 60) * 60}"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis of a busy machine may be slow to take a connection."""
    for module in ("check", "client"):
        monkeypatch.setattr(f"model_service.limits.{module}.CONNECT_SECONDS", 60.0)


@pytest.fixture
def redis_server(free_port: Callable[[], int]) -> Iterator[RedisServer]:
    server = RedisServer(free_port(), password="of the test")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def password_file(redis_server: RedisServer, tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f"{redis_server.password}\n")
    return path


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_bare(root, Slow())
    return root


@pytest.fixture
def serve(root: Path, tmp_path: Path, free_port: Callable[[], int]) -> Any:
    """Start a server with so many workers; limits by keyword."""
    return lambda workers=1, **limits: running(
        root,
        free_port(),
        tmp_path,
        WORKERS=str(workers),
        **{f"LIMITS__{name.upper()}": str(limits[name]) for name in limits},
    )
