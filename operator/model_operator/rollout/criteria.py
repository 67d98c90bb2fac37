"""What a candidate is measured by: one row a criterion, from its counters and the stable version's.

A share is taken of at least `min_requests` answers. So a limit counts as crossed as soon as it must be crossed when
the step is judged, however the answers still to come turn out: who fails from the start is found out at once, and one
failure among the first two answers is not half of them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from model_operator.rollout.counts import Counts, histogram, quantile, stability_index
from model_operator.rollout.spec import Analysis, Record, Shadow

MIN_SCORES = 200
"""Of either version; two smaller samples of one distribution look different by chance."""


DOUBT = 1.645
"""Standard errors: of 20 requests one is slower than the 95th percentile by definition, and which one is chance."""


class Measure(Record):
    """A figure and its limit; None: not judged."""

    value: float
    limit: float | None = None


@dataclass(frozen=True)
class Sample:
    """The answers to judge by, since the stage or step began."""

    candidate: Counts
    stable: Counts
    shift: float | None
    """`model_score_shift` of the candidate, mean over pods."""
    least: int
    """Answers below which nothing is passed."""


@dataclass(frozen=True)
class Criterion:
    """One figure: its name in `analysis`, the words for it, and how it is had (None: too little is known)."""

    name: str
    words: str
    measure: Callable[[Sample], float | None]
    compares: bool = False
    """With the stable version, which must answer something too."""

    @property
    def limit(self) -> str:
        """The field of the limit."""
        return f"max_{self.name}"

    @property
    def reason(self) -> str:
        """The machine's word for its being crossed."""
        return self.name.title().replace("_", "")


def answers(counts: Counts) -> float:
    """Requests that the version answered or failed to, not those that a client spoilt."""
    return counts.get("answers/ok", 0) + counts.get("answers/failed", 0)


def copies(counts: Counts) -> float:
    """Shadow requests that the version answered or failed to; dropped ones tell nothing about it."""
    return counts.get("shadow/ok", 0) + counts.get("shadow/failed", 0)


def _failed(counts: Counts, least: int) -> float:
    return counts.get("answers/failed", 0) / max(answers(counts), least, 1)


def _invalid(counts: Counts, least: int) -> float:
    invalid = counts.get("answers/invalid", 0)
    return invalid / max(answers(counts) + invalid, least, 1)


def _more(share: Callable[[Counts, int], float]) -> Callable[[Sample], float | None]:
    """The candidate's share less the stable version's, once that has answered enough to compare with."""

    def measure(sample: Sample) -> float | None:
        if answers(sample.stable) < max(sample.least, 1):
            return None
        return share(sample.candidate, sample.least) - share(sample.stable, sample.least)

    return measure


def _p95(counts: Counts, least: int, doubt: float = 0.0) -> float | None:
    """The percentile, or what it is at least: `doubt` standard errors of its share below (normal approximation)."""
    found = answers(counts)
    if found < max(least, 1):
        return None
    return quantile(histogram(counts, "latency"), max(0.5, 0.95 - doubt * math.sqrt(0.95 * 0.05 / found)))


def _p95_seconds(sample: Sample) -> float | None:
    return _p95(sample.candidate, sample.least, DOUBT)


def _p95_ratio(sample: Sample) -> float | None:
    ours, theirs = _p95_seconds(sample), _p95(sample.stable, sample.least)
    return ours / theirs if ours is not None and theirs else None


def _difference(sample: Sample) -> float | None:
    theirs, ours = histogram(sample.stable, "score"), histogram(sample.candidate, "score")
    if min(sum(theirs.values()), sum(ours.values())) < MIN_SCORES:
        return None
    return stability_index(theirs, ours)


def _disagreement(sample: Sample) -> float | None:
    rows = max(sample.candidate.get("shadow/ok", 0), sample.candidate.get("shadow/rows", 0))  # a copy may have several
    compared = max(rows, sample.least, 1)
    return sample.candidate.get("shadow/differs", 0) / compared


def _shadow_failed(sample: Sample) -> float | None:
    return sample.candidate.get("shadow/failed", 0) / max(copies(sample.candidate), sample.least, 1)


STEP = (
    Criterion("error_rate", "share of failed answers", lambda sample: _failed(sample.candidate, sample.least)),
    Criterion("error_rate_increase", "share of failed answers above the stable version's", _more(_failed), True),
    Criterion("invalid_rate_increase", "share of refused requests above the stable version's", _more(_invalid), True),
    Criterion("p95_seconds", "95th percentile of latency in seconds", _p95_seconds),
    Criterion("p95_ratio", "95th percentile of latency over the stable version's", _p95_ratio, True),
    Criterion("score_shift", "shift of its scores against its baseline", lambda sample: sample.shift),
    Criterion("score_difference", "shift of its scores against the stable version's", _difference, True),
)
SHADOW = (
    Criterion("error_rate", "share of failed copies", _shadow_failed),
    Criterion("disagreement", "share of answers unlike the stable version's", _disagreement),
)


def measure(criteria: tuple[Criterion, ...], limits: Analysis | Shadow, sample: Sample) -> dict[str, Measure]:
    """Take every figure that there is enough for, by its name as in `analysis`, without "max"."""
    values = {criterion: criterion.measure(sample) for criterion in criteria}
    return {
        to_camel(criterion.name): Measure(value=round(value, 6), limit=getattr(limits, criterion.limit))
        for criterion, value in values.items()
        if value is not None
    }


def unjudged(
    criteria: tuple[Criterion, ...], limits: Analysis | Shadow, measures: Mapping[str, Measure], *, compared: bool
) -> list[str]:
    """Figures that have a limit and cannot be told yet; those against the stable version only where it is compared."""
    return [
        to_camel(criterion.name)
        for criterion in criteria
        if getattr(limits, criterion.limit) is not None
        and to_camel(criterion.name) not in measures
        and (compared or not criterion.compares)
    ]


def crossed(criteria: tuple[Criterion, ...], measures: Mapping[str, Measure]) -> tuple[str, str] | None:
    """Find the first limit that is crossed.

    Returns:
        The reason and a sentence about it; None when all hold.
    """
    for criterion in criteria:
        found = measures.get(to_camel(criterion.name))
        if found and found.limit is not None and found.value > found.limit:
            return criterion.reason, f"the {criterion.words} is {found.value:.4g}, more than {found.limit:.4g}"
    return None
