"""Reads a pod's `/metrics` into counts by version; what nobody here asks for is not even parsed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from model_operator.rollout.counts import Counts

ANSWERS = "model_request_duration_seconds"
SCORES = "model_prediction_score"
SHADOWED = "model_shadow_requests_total"
COMPARED = "model_shadow_score_difference_count"
DISAGREEMENTS = "model_shadow_disagreements_total"
SHIFT = "model_score_shift"
OUTCOMES = {"ok": "ok", "failed": "failed", "overload": "failed", "deadline": "failed", "invalid": "invalid"}
"""What an outcome says of the version; a cancelled request says nothing of it."""

Labels = Mapping[str, str]


class Scrape(NamedTuple):
    """Counters and gauges of one model in one pod, by version."""

    counts: Mapping[str, Counts]
    shifts: Mapping[str, float]


def _latency(labels: Labels) -> str | None:
    outcome = OUTCOMES.get(labels["outcome"])
    return "latency" if outcome in {"ok", "failed"} and labels.get("variant") != "shadow" else None


def _answers(labels: Labels) -> str | None:
    outcome = OUTCOMES.get(labels["outcome"])
    return f"answers/{outcome}" if outcome and labels.get("variant") != "shadow" else None


COUNTERS: Mapping[str, Callable[[Labels], str | None]] = {
    f"{ANSWERS}_count": _answers,
    SHADOWED: lambda labels: f"shadow/{labels['outcome']}",
    COMPARED: lambda labels: "shadow/rows",  # noqa: ARG005 - one signature for all
    DISAGREEMENTS: lambda labels: "shadow/differs",  # noqa: ARG005
}
BUCKETS: Mapping[str, Callable[[Labels], str | None]] = {
    f"{ANSWERS}_bucket": _latency,
    f"{SCORES}_bucket": lambda labels: "score",  # noqa: ARG005
}
WANTED = (*COUNTERS, *BUCKETS, SHIFT)


def parse(text: str, model: str) -> Scrape:
    """Read the text format.

    Args:
        text: Prometheus' text format, version 0.0.4.
        model: name of the model; samples of others are left out.

    Raises:
        ValueError: it is not that format.
    """
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    buckets: dict[tuple[str, str, frozenset[tuple[str, str]]], dict[float, float]] = defaultdict(dict)
    shifts: dict[str, float] = {}
    for sample in _samples(text, model):
        version = sample.labels["model_version"]
        if sample.name == SHIFT:
            shifts[version] = sample.value
        elif sample.name in COUNTERS:
            if name := COUNTERS[sample.name](sample.labels):
                counts[version][name] += sample.value
        elif name := BUCKETS[sample.name](sample.labels):
            series = frozenset(item for item in sample.labels.items() if item[0] != "le")
            buckets[version, name, series][float(sample.labels["le"])] = sample.value
    for (version, name, _), cumulative in buckets.items():
        below = 0.0
        for bound, reached in sorted(cumulative.items()):
            counts[version][f"{name}/{bound:g}"] += reached - below
            below = reached
    return Scrape({version: dict(found) for version, found in counts.items()}, shifts)


def _samples(text: str, model: str) -> Iterator[Sample]:
    """Samples of the wanted families of one model."""
    lines = "\n".join(line for line in text.splitlines() if line.startswith(WANTED))
    for family in text_string_to_metric_families(lines + "\n"):
        yield from (it for it in family.samples if it.name in WANTED and it.labels.get("model_name") == model)
