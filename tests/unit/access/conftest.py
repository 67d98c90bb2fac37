"""A service that asks for credentials."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from support.access import Issuer, issuing
from support.bundles import write_bare

from model_service.app import create_app
from model_service.settings import Settings

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    data = load_iris()
    write_bare(folder, DecisionTreeClassifier(max_depth=2).fit(data.data, data.target), name="iris")
    return folder


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., TestClient]]:
    """Start the application; keywords are settings of access control."""
    clients: list[TestClient] = []

    def start(**access: Any) -> TestClient:
        settings = Settings.model_validate({"model_root": root, "allow_pickle": True, "access": access})
        client = TestClient(create_app(settings), raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        yield found
