"""Fixtures that every folder of tests may use."""

import itertools
import random
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import hypothesis
import pytest

# A run that was started in the background inherits ignored signals; the programs under test must get the usual ones.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Machines that run tests are busy: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("project")

PORTS = itertools.cycle(random.SystemRandom().sample(range(20_000, 30_000), 10_000))
"""Below those that the kernel gives to whoever wants any: none is taken between its choice and its use."""


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a TCP port of this machine that nobody listens on, another one each time."""

    def find() -> int:
        while True:
            port = next(PORTS)
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port

    return find
