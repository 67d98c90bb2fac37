"""Fixtures that every folder of tests may use."""

import signal
import socket
from collections.abc import Callable

import hypothesis
import pytest

# A run that was started in the background inherits ignored signals; the programs under test must get the usual ones.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Machines that run tests are busy: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a TCP port of this machine that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
