"""Models for real servers, and what starts those."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bundles import write_bare
from support.estimators import Slow
from support.service import running


@pytest.fixture(scope="session")
def slow_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes as many seconds as its input says."""
    root = tmp_path_factory.mktemp("slow")
    write_bare(root, Slow())
    return root


@pytest.fixture
def serve(tmp_path: Path, free_port: Callable[[], int]) -> Any:
    """Start a server: its root, environment variables, and settings by keyword."""
    return lambda root, variables=None, **settings: running(
        root, free_port(), tmp_path, variables=variables, **settings
    )
