"""TCP ports for servers that have to be told theirs."""

import itertools
import random
import socket
from contextlib import suppress

PORTS = itertools.cycle(random.SystemRandom().sample(range(20_000, 30_000), 10_000))
"""Below those that the kernel gives to whoever wants any: none is taken between its choice and its use."""


def free_port() -> int:
    """A port of this machine that nobody listens on, another one each time."""
    while True:
        port = next(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
