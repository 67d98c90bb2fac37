"""A model whose candidates are rolled out while it answers, and what its callers see of that."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.cluster import wait_for
from support.load import Load
from support.operator import Models

STEPS = [{"weight": weight, "pauseSeconds": 5} for weight in (20, 50, 100)]
ABORT_SECONDS = 10
"""To 100 % stable, from the moment that a bad candidate shows."""
_SPOILT = """
import time
LOADED = time.monotonic()

def postprocess(answers):
    if time.monotonic() - LOADED > {after}:
        {deed}
    return answers
"""


def spoilt(deed: str, after: int) -> str:
    """Hooks of a candidate that behaves until it is proven, and for so many seconds after it was loaded."""
    return _SPOILT.format(deed=deed, after=after)


@dataclass(frozen=True)
class Rolled:
    """A resource whose candidates are rolled out while it answers.

    Attributes:
        models: of its namespace.
        name: of it.
        load: on it, 50 requests a second.
    """

    models: Models
    name: str
    load: Load

    def apply(self, spec: dict[str, Any]) -> None:
        self.models.apply(self.name, spec)

    @property
    def rollout(self) -> dict[str, Any]:
        """What the status says of it."""
        found: dict[str, Any] = self.models.status(self.name).get("rollout", {})
        return found

    def reached(self, *stages: str, step: int = 0) -> None:
        """Wait for a stage of the rollout."""
        wait_for(
            lambda: (now := self.rollout).get("stage") in stages and now["step"] >= step,
            f"{stages}, not {self.rollout.get('stage')}: {self.rollout.get('message')}",
        )

    def uids(self) -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.models.pods(self.name)}

    def operate(self, action: str, *options: str) -> str:
        return self.models.operate(action, self.name, *options)

    def promoted_through(self, version: str) -> list[int]:
        """Follow a rollout to its promotion; the candidate's shares of the traffic on the way, in percent."""
        shares: list[int] = []
        while (now := self.rollout)["stage"] != "Promoted":
            assert now["stage"] in {"Loading", "Stepping"}, now["message"]
            weights = {entry["version"]: entry["weight"] for entry in now["versions"]}
            shares += [weights[version]] if weights[version] not in shares[-1:] else []
            time.sleep(0.5)
        return shares

    def seconds_to_stable(self, version: str, enough: int) -> tuple[float, int]:
        """From so many bad answers to the last one, and how many there were; failures are the candidate's."""

        def bad() -> int:
            return self.load.versions[version] + sum(self.load.failures.values())

        wait_for(lambda: bad() >= enough or self.rollout["stage"] == "Aborted", "answers that show it")
        crossed, counted, last = time.monotonic(), bad(), time.monotonic()
        while time.monotonic() - last < 4:
            if bad() != counted:
                counted, last = bad(), time.monotonic()
            time.sleep(0.05)
        return max(0.0, last - crossed), counted


@contextmanager
def serving(models: Models, spec: dict[str, Any], row: Any, **headers: str) -> Iterator[Rolled]:
    """A new resource under load."""
    name = f"rolled-{secrets.token_hex(3)}"
    models.apply(name, spec)
    try:
        models.wait(name)
        load = Load(f"{models.namespace.url(name)}/predict", row, headers=headers)
        with load.running():
            wait_for(lambda: load.sent > 50, "the load")
            yield Rolled(models, name, load)
    finally:
        models.delete(name)
