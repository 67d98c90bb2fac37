"""A shadow that hangs must cost the requests that it is asked about nothing.

What that costs is a part of a microsecond, and what two servers differ by, or one in two seconds, is far more. So the
worker's application answers on real sockets in a process of its own, and the shadow comes and goes with every turn:
thirty-two requests that are answered at once, as those of a loaded server are.
"""

import multiprocessing
import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import joblib
import uvloop
from benchmarks.serving import cores
from benchmarks.serving.contenders import modelport as ours
from benchmarks.serving.figures import Figure
from benchmarks.serving.subjects import Subject
from benchmarks.serving.timings.stage import Stage
from benchmarks.serving.turns import Turns

import modelport
from model_service.app import create_app
from model_service.settings import Settings
from model_service.traffic.document import ModelTraffic, Shadow, Traffic
from model_service.traffic.orders import Desired
from model_service.worker import favour_requests

TURNS = 1000
"""That are compared with each other: with the shadow, and as many without. They take about two seconds."""
WARM_TURNS = 200
HANGS = """
import time
from pathlib import Path


def preprocess(rows):
    while Path({flag!r}).exists():
        time.sleep(0.1)
    return rows
"""


@dataclass(frozen=True)
class Setting:
    """A model root with a second version that hangs while the file `flag` is there, and requests for the first."""

    model: str
    root: Path
    flag: Path
    requests: Sequence[bytes]
    times: int


@dataclass
class Timed:
    """Seconds of turns, with and without the shadow."""

    hung: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)

    def added(self, percentile: int) -> float:
        """What the shadow adds to a percentile, in percent."""
        hung, alone = (quantiles(seen, n=100)[percentile - 1] for seen in (self.hung, self.alone))
        return (hung / alone - 1) * 100


def measure(stage: Stage) -> Sequence[Figure]:
    """p50 and p99 beside those without a shadow, in percent, as the median of many times a thousand turns."""
    timed: list[Timed] = []
    with tempfile.TemporaryDirectory(prefix="modelport-shadow-") as folder:
        setting = _prepare(stage.subjects["logistic"], Path(folder), max(1, round(stage.seconds)))
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
            for _ in range(stage.rounds):
                timed += processes.submit(_round, setting).result()
    added = {percentile: median(each.added(percentile) for each in timed) for percentile in (50, 99)}
    return [
        Figure(f"ONNX, logistic: p{percentile} added by a shadow that hangs", found, "%", "<", 1)
        for percentile, found in added.items()
    ]


def _prepare(subject: Subject, folder: Path, times: int) -> Setting:
    root, flag, hooks = folder / "root", folder / "hangs", folder / "hooks.py"
    shutil.copytree(subject.roots["onnx"], root)
    hooks.write_text(HANGS.format(flag=str(flag)))
    modelport.pack(
        joblib.load(subject.joblib), subject.rows, name=subject.name, version="2", destination=root, formats=["onnx"],
        hooks=hooks,
    )  # fmt: skip
    asks = [ours.ask(subject.name, [row]) for row in subject.rows.tolist()]
    requests = [
        f"POST {ask.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(ask.body)}\r\n\r\n".encode()
        + ask.body
        for ask in asks
    ]
    return Setting(subject.name, root, flag, requests, times)


def _round(setting: Setting) -> list[Timed]:
    os.sched_setaffinity(0, cores.serving(1))
    return uvloop.run(_serve(setting))


async def _serve(setting: Setting) -> list[Timed]:
    app = create_app(Settings(model_root=setting.root, model_version="1", allow_pickle=True))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        registry = app.state.registry
        desired = Desired(Traffic(1, {setting.model: ModelTraffic("1", shadow=Shadow("2"))}))
        await registry.prepare(desired)
        registry.apply(desired)
        favour_requests()
        setting.flag.touch()
        stack.callback(setting.flag.unlink)
        turns = await stack.enter_async_context(Turns(app, setting.requests))
        for _ in range(WARM_TURNS):
            await turns.run()
        return [await _alternate(turns, registry) for _ in range(setting.times)]


async def _alternate(turns: Turns, registry: Any) -> Timed:
    """Time turns in pairs of random order; the shadow's queue is full."""
    with_shadow, without = registry.mirrors, {}
    timed = Timed()
    pairs = [(with_shadow, timed.hung), (without, timed.alone)]
    for _ in range(TURNS):
        random.shuffle(pairs)
        for registry.mirrors, seen in pairs:
            seen.append(await turns.run())
    registry.mirrors = with_shadow
    return timed
