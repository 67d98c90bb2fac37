"""200,000 requests to one worker: memory that nobody shares must not grow with them."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression

from benchmarks.serving import progress, wrk
from benchmarks.serving.contenders import modelport
from benchmarks.serving.figures import Figure
from benchmarks.serving.server import Server, running
from benchmarks.serving.timings.stage import Stage

REQUESTS = 200_000
SETTLED = 50_000
"""Requests before memory counts: pools and caches fill."""


def measure(stage: Stage) -> Sequence[Figure]:
    """Slope of the memory over the requests, by least squares."""
    with running(modelport.ONNX, stage.subjects["logistic"], stage.collector) as server:
        samples = _samples(server)
    counts, sizes = zip(*samples, strict=True)
    slope = linear_regression(counts, sizes).slope
    progress.say(f"soak: {sizes[0]:.1f} MB after {counts[0]:,} requests, {sizes[-1]:.1f} MB after {counts[-1]:,}")
    return [Figure("ONNX, logistic: memory growth over 200,000 requests", slope * REQUESTS, "MB", "<", 2)]


def _samples(server: Server) -> list[tuple[int, float]]:
    """(requests so far, MB), one a second, from SETTLED to SETTLED + REQUESTS."""
    asks = [server.contender.ask(server.subject.name, [row]) for row in server.subject.rows.tolist()]
    seen, samples = 0, []
    with tempfile.TemporaryDirectory(prefix="modelport-load-") as folder:
        while seen < SETTLED + REQUESTS:
            seen += wrk.run(server.url, asks, 32, 1, Path(folder)).requests
            if seen >= SETTLED:
                samples.append((seen, server.memory_mb()))
    return samples
