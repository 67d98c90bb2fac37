"""Fixtures that every folder of tests may use."""

import signal
from collections.abc import Callable

import hypothesis
import pytest
from support.ports import free_port

# A run that was started in the background inherits ignored signals; the programs under test must get the usual ones.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Machines that run tests are busy: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("project")


@pytest.fixture(name="free_port")
def _free_port() -> Callable[[], int]:
    """Give a TCP port of this machine that nobody listens on, another one each time."""
    return free_port
