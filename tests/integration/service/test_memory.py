"""A large model is in memory once, however many workers answer for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.bundles import write_bare
from support.estimators import Heavy
from support.service import Service

MIB = 1 << 20
MODEL_MB = 150


def proportional_bytes(service: Service) -> int:
    """What all its processes take, what they share divided among them."""
    supervisor = psutil.Process(service.process.pid)
    rollups = [Path(f"/proc/{process.pid}/smaps_rollup") for process in (supervisor, *supervisor.children())]
    lines = [line.split() for rollup in rollups for line in rollup.read_text().splitlines()]
    return sum(int(fields[1]) for fields in lines if fields[0] == "Pss:") * 1024


@pytest.fixture
def taken(serve: Any, tmp_path: Path) -> Callable[[int, int], int]:
    """The memory of a service with a model of so many megabytes and so many workers, each of which has answered."""

    def measure(megabytes: int, workers: int) -> int:
        root = tmp_path / f"{megabytes}-{workers}"
        write_bare(root, Heavy(megabytes))
        with serve(root, WORKERS=str(workers)) as service:
            for _ in range(20):
                assert service.request("POST", "/predict", json={"features": [1.0]}).status == 200
                service.metrics()  # closes the connection, so that another worker may get the next one
            return proportional_bytes(service)

    return measure


def test_four_workers_share_the_memory_of_a_large_model(taken: Callable[[int, int], int]) -> None:
    assert taken(MODEL_MB, 4) - taken(1, 4) < 1.5 * MODEL_MB * MIB
