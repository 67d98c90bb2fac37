"""The service with limits on a model that needs no signature."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.bundles import write_bare
from support.clients import starting
from support.estimators import Slow


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("churn", "fraud"):
        write_bare(root, Slow(), name=name)
    return root


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., TestClient]]:
    """Start the application with these rules; more settings by keyword."""

    def with_rules(*rules: dict[str, Any], client: tuple[str, int] = ("192.0.2.1", 1), **settings: Any) -> TestClient:
        given = {"model_root": root, "model_name": "churn", "allow_pickle": True, "limits": {"rules": rules}}
        return start(client, **given | settings)

    with starting() as start:
        yield with_rules
