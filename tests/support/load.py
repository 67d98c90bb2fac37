"""A paced load over keep-alive connections that counts every answer and every broken connection."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import urllib3

REACHED_WITHIN = 30.0
"""Seconds in which a new Service must take connections; its pods are ready before the node knows the way to them."""


@dataclass
class Load:
    """Sends `body` to `url` from `connections` threads, `rate` requests a second in all, none tried twice.

    `outcomes` counts HTTP statuses, and exceptions by class name; `versions` the model version of each 200, and
    `sequences` which ones each connection saw, one after the other; `slowest_failure` is in seconds.
    """

    url: str
    body: Any
    rate: float = 50.0
    connections: int = 8
    headers: Mapping[str, str] = field(default_factory=dict)
    outcomes: "Counter[str]" = field(default_factory=Counter)
    versions: "Counter[str]" = field(default_factory=Counter)
    sequences: list[list[str]] = field(default_factory=list)
    slowest_failure: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        """Requests so far."""
        return sum(self.outcomes.values())

    @property
    def failures(self) -> dict[str, int]:
        """Everything that was not a 200."""
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "200"}

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Keep the load on for the length of the block."""
        self._reach()
        threads = [threading.Thread(target=self._connection) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _reach(self) -> None:
        address = urllib3.util.parse_url(self.url)
        until = time.monotonic() + REACHED_WITHIN
        while True:
            try:
                socket.create_connection((address.host, address.port or 80), timeout=1).close()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def _connection(self) -> None:
        interval = self.connections / self.rate
        seen: list[str] = []
        self.sequences.append(seen)
        following = time.monotonic()
        with urllib3.PoolManager(num_pools=1, maxsize=1, retries=False) as pool:
            while not self._stop.wait(max(0.0, following - time.monotonic())):
                following = max(following + interval, time.monotonic() - interval)
                self._one(pool, seen)

    def _one(self, pool: urllib3.PoolManager, seen: list[str]) -> None:
        version = None
        started = time.monotonic()
        try:
            response = pool.request("POST", self.url, json=self.body, headers=self.headers, timeout=30)
            outcome = str(response.status)
            if response.status == 200:
                version = response.json()["model_version"]
        except urllib3.exceptions.HTTPError as error:
            outcome = type(error).__name__
        with self._lock:
            self.outcomes[outcome] += 1
            if version is None:
                self.slowest_failure = max(self.slowest_failure, time.monotonic() - started)
            else:
                self.versions[version] += 1
        if version is not None and seen[-1:] != [version]:
            seen.append(version)
