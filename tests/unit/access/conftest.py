"""A service that asks for credentials."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.access import Issuer, issuing
from support.bundles import write_iris
from support.clients import starting

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_iris(tmp_path_factory.mktemp("models"))


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., TestClient]]:
    """Start the application; keywords are settings of access control."""

    def with_access(**access: Any) -> TestClient:
        return start(model_root=root, allow_pickle=True, access=access)

    with starting() as start:
        yield with_access


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setattr("model_service.access.issuer.TIMEOUT_SECONDS", 60.0)  # it is slow only where the machine is
    with issuing() as found:
        yield found
