"""What the tests of the chart share."""

from pathlib import Path

import pytest
from support.chart import VALUE_SETS, Render, render


@pytest.fixture(scope="session", params=VALUE_SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
def value_set(request: pytest.FixtureRequest) -> Path:
    """Each value set that ships with the chart."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def rendered(value_set: Path) -> Render:
    """The chart with each value set."""
    return render(value_set)
