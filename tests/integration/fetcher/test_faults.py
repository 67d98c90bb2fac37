"""Random faults between the fetcher and every kind of store: what is published is whole and right, or nothing is.

`FAULT_RUNS=500 pytest tests/integration/fetcher/test_faults.py -s` makes it long, and `FAULT_SEED` repeats one run.
"""

import io
import os
import random
import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import DeliveryError
from model_artifact.publish import STAGING
from model_fetcher import landing, lanes
from model_fetcher.destinations import ModelRoot
from model_fetcher.fetch import Fetcher
from model_fetcher.plan import Wanted
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources.base import Access, Timeouts

from .faults import PASSING, Breaking, Proxy, expired, proxying, wrong

RUNS = int(os.environ.get("FAULT_RUNS", "40"))
SEED = int(os.environ.get("FAULT_SEED", "0"))
SMALL_PART = 16 << 10


@pytest.fixture(autouse=True)
def _many_small_parts(monkeypatch):
    monkeypatch.setattr(landing, "PART", SMALL_PART)
    monkeypatch.setattr(lanes, "GRACE", 60.0)  # threads of the first fetch must not run into the second one
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def fronts(web, emulated, s3, s3_server, emulator, monkeypatch):
    """Each store behind a proxy of its own."""
    with ExitStack() as stack:
        proxies = {
            "http": stack.enter_context(proxying(web.uri("").rstrip("/"))),
            "gs": stack.enter_context(proxying(os.environ["STORAGE_EMULATOR_HOST"])),
            "s3": stack.enter_context(proxying(s3_server)),
        }
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxies["gs"].address)
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxies["s3"].address)
        yield {name: (store, proxies[name]) for name, store in (("http", web), ("gs", emulated), ("s3", s3))}


@dataclass
class Run:
    """One fetch of something random from something broken, and another one when nothing breaks any more."""

    seed: int
    store: Any
    proxy: Proxy
    pack: Any
    root: Path
    rng: random.Random = field(init=False)
    now: float = 0.0
    right: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def content(self) -> bytes:
        return self.rng.randbytes(self.rng.choice([0, 1, 1000, SMALL_PART, SMALL_PART + 1, SMALL_PART * 6 + 77]))

    def make(self) -> tuple[str, dict[str, str]]:
        """Put something into the store; returns its key and pins."""
        model = self.content()
        if self.rng.random() < 0.5:
            bundle = self.pack(model=model, **{"more/weights": self.content()})
            bundle.into(self.store, f"{self.seed}/churn")
            self.right.add(bundle.files["manifest.json"])
            return f"{self.seed}/churn", {"digest": bundle.digest} if self.rng.random() < 0.5 else {}
        self.put(model)
        pinned = self.rng.random() < 0.5
        return f"{self.seed}/churn.onnx", {"sha256": sha256(model).hexdigest()} if pinned else {}

    def put(self, model: bytes) -> None:
        self.store.put(f"{self.seed}/churn.onnx", model)
        self.right.add(model)

    def breaking(self, key: str, pins: dict[str, str]) -> Breaking:
        faults = [*PASSING.values(), expired]
        if pins:  # nothing else could tell
            faults += [wrong] * 2
        broken = Breaking(faults, self.rng.choice([0.2, 0.5, 0.9]), self.rng.choice([2, 4, 12, 99]), self.rng)
        if key.endswith(".onnx") and not pins and self.rng.random() < 0.3:
            changes = iter([self.rng.randrange(2, 6)])
            broken.before = lambda _: self.change(changes)
        return broken

    def change(self, changes: Any) -> None:
        """Another object takes the place of the one that is being read."""
        if len(self.proxy.requests) == next(iter([*changes]), -1):
            self.put(self.content())

    def fetch(self, key: str, pins: dict[str, str], timeouts: Timeouts) -> str:
        uri = f"{self.proxy.address}/{key}" if self.store.uri("").startswith("http") else self.store.uri(key)
        retry = Retry(20, clock=lambda: self.now, sleep=self.sleep, jitter=self.rng.random)
        fetcher = Fetcher(Progress(io.StringIO()), retry, Access(timeouts, connections=4))
        try:
            fetcher.fetch(Wanted(uri, **pins), ModelRoot(self.root, replace=True))
        except DeliveryError as error:
            return error.reason
        return "published"

    def published(self) -> list[bytes]:
        """What tells the contents apart: the model of a bare file, the manifest of a bundle."""
        found = []
        for manifest in self.root.glob("*/*/manifest.json"):
            if STAGING not in manifest.parts:
                bundle = verify(manifest.parent)
                bare = bundle.manifest.origin == "fetched"
                found.append((bundle.path("churn.onnx") if bare else manifest).read_bytes())
        return found


def test_nothing_half_or_wrong_is_ever_published(fronts, pack, tmp_path):
    counts: Counter[str] = Counter()
    for number in range(SEED, SEED + RUNS):
        scheme = list(fronts)[number % len(fronts)]
        run = Run(number, *fronts[scheme], pack, tmp_path / str(number))
        key, pins = run.make()
        run.proxy.requests.clear()
        run.proxy.breaking = run.breaking(key, pins)
        reason = run.fetch(key, pins, Timeouts(2, 0.15))
        published = run.published()
        assert len(published) == (reason == "published"), f"seed {number}: {reason}"
        assert set(published) <= run.right, f"seed {number}: wrong bytes"
        run.proxy.breaking = Breaking()
        again = run.fetch(key, pins, Timeouts(60, 60))
        assert again == "published", f"seed {number}: {reason}, then {again}"
        assert set(run.published()) <= run.right, f"seed {number}: wrong bytes"
        assert not (run.root / STAGING).exists(), f"seed {number}: something was left"
        counts[f"{scheme} {reason}"] += 1
        shutil.rmtree(run.root)
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"\n{RUNS} faulted runs: 0 half-published models, 0 wrong bytes accepted ({summary})")
    assert sum(counts.values()) == RUNS
