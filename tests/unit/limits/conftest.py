"""The service with limits on a model that needs no signature."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import write_bare
from support.estimators import Slow

from model_service.app import create_app
from model_service.settings import Settings


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("churn", "fraud"):
        write_bare(root, Slow(), name=name)
    return root


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., TestClient]]:
    """Start the application with these rules; more settings by keyword."""
    clients: list[TestClient] = []

    def start(*rules: dict[str, Any], client: tuple[str, int] = ("192.0.2.1", 1), **settings: Any) -> TestClient:
        given = {"model_root": root, "model_name": "churn", "allow_pickle": True, "limits": {"rules": rules}}
        app = create_app(Settings(**given | settings))
        clients.append(TestClient(app, raise_server_exceptions=False, client=client))
        return clients[-1].__enter__()

    yield start
    for client in clients:
        client.__exit__(None, None, None)
