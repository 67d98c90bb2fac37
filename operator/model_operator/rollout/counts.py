"""Arithmetic on what pods count, made so that a pod that restarts, comes or goes never yields a negative number.

A `Counts` is flat: `answers/ok`, `latency/0.25`, `score/0.5`, ... Histogram buckets are kept apart (what fell *into*
the bucket, not below its bound), so that every entry only grows and sums over pods mean something.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise

Counts = Mapping[str, float]
NOTHING: Counts = {}
SMOOTHING = 0.5
"""Added to each bin of a distribution: an empty bin must not make the index infinite."""


def total(parts: Iterable[Counts]) -> dict[str, float]:
    """Sum entry by entry."""
    sums: Counter[str] = Counter()
    for part in parts:
        sums.update(part)
    return dict(sums)


def growth(before: Counts, after: Counts) -> dict[str, float]:
    """What was counted in between; where any entry went down, the process began anew and all of `after` is new."""
    restarted = any(after.get(name, 0) < count for name, count in before.items())
    base = NOTHING if restarted else before
    return {name: count - base.get(name, 0) for name, count in after.items()}


def histogram(counts: Counts, family: str) -> dict[float, float]:
    """The buckets `family/BOUND`: count by upper bound, ascending."""
    prefix = f"{family}/"
    return dict(sorted((float(name[len(prefix) :]), n) for name, n in counts.items() if name.startswith(prefix)))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Estimate a quantile as Prometheus' `histogram_quantile` does: linear within the bucket it falls into.

    Args:
        buckets: count by upper bound.
        share: 0..1.

    Returns:
        None without observations; the last finite bound when it falls above all of them.
    """
    wanted = share * sum(buckets.values())
    if not wanted:
        return None
    lower = below = 0.0
    for bound, count in buckets.items():
        if below + count >= wanted and math.isfinite(bound):
            return lower + (bound - lower) * (wanted - below) / count
        lower, below = (bound, below + count) if math.isfinite(bound) else (lower, below)
    return lower


def stability_index(expected: Mapping[float, float], actual: Mapping[float, float]) -> float:
    """Population stability index of two histograms, less what two samples of one distribution would differ by.

    The index is sum((a - e) * ln(a / e)) over the bins' shares; drawn from one distribution, its mean is
    (bins - 1) * (1/n + 1/m) (it is asymptotically chi-squared). Histograms with other bounds are brought to the
    expected ones first, taking each bucket's content as spread evenly.
    """
    n, m = sum(expected.values()), sum(actual.values())
    if not n or not m:
        return 0.0
    bounds = [*(bound for bound in expected if math.isfinite(bound)), math.inf]
    before, after = _shares(expected, bounds), _shares(actual, bounds)
    index = sum((a - e) * math.log(a / e) for e, a in zip(before, after, strict=True))
    return max(0.0, index - (len(bounds) - 1) * (1 / n + 1 / m))


def _shares(buckets: Mapping[float, float], bounds: list[float]) -> list[float]:
    """Share of each bin, smoothed."""
    edges = _edges(list(buckets))
    running = [0.0, *accumulate(buckets.values())]
    below = [0.0, *(_below(edges, running, bound) for bound in bounds)]
    counts = [high - low + SMOOTHING for low, high in pairwise(below)]
    return [count / sum(counts) for count in counts]


def _edges(bounds: list[float]) -> list[float]:
    """Where the buckets begin and end; the open ones are taken to be as wide as their neighbours."""
    inner = [bound for bound in bounds if math.isfinite(bound)] or [0.0]
    first = inner[1] - inner[0] if len(inner) > 1 else 1.0
    last = inner[-1] - inner[-2] if len(inner) > 1 else 1.0
    return [inner[0] - first, *inner, inner[-1] + last]


def _below(edges: list[float], running: list[float], value: float) -> float:
    """How many observations lie at or below a value."""
    index = bisect_right(edges, value)
    if index >= len(running) or not index:
        return running[-1] if index else 0.0
    low, high = edges[index - 1], edges[index]
    return running[index - 1] + (running[index] - running[index - 1]) * (value - low) / (high - low)
