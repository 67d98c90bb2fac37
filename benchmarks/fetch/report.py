"""Runs become rows, and rows are held against what Modelport promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.fetch import contenders
from benchmarks.fetch.run import Run
from benchmarks.serving.figures import Figure

Runs = Mapping[tuple[str, str], Sequence[Run]]
"""By workload and contender."""
FIRST_BYTE = 0.7
FASTER = {"http-one": 4.0, "gs-one": 4.0, "s3-one": 1.0, "gs-many": 3.0, "s3-many": 3.0}
"""How many times KServe's speed is promised."""


@dataclass(frozen=True)
class Row:
    """Medians over the rounds; `spread` is the slowest run over the fastest, `ratio` how many times KServe's speed."""

    workload: str
    contender: str
    seconds: float
    spread: float
    mb_per_s: float
    ratio_kserve: float | None
    first_byte_s: float
    peak_mib: float
    requests: int
    connections: int


def rows(runs: Runs, sizes: Mapping[str, int]) -> list[Row]:
    """One row for each workload and contender; `sizes` are bytes by workload."""
    found = []
    for (workload, contender), each in runs.items():
        seconds = [run.seconds for run in each]
        kserve = runs.get((workload, contenders.KSERVE.name))
        ratio = median(run.seconds for run in kserve) / median(seconds) if kserve else None
        found.append(
            Row(
                workload,
                contender,
                round(median(seconds), 3),
                round(max(seconds) / min(seconds), 2),
                round(sizes[workload] / median(seconds) / 1e6, 1),
                ratio and round(ratio, 2),
                round(median(run.first_byte for run in each), 3),
                round(median(run.peak_mib for run in each), 1),
                each[-1].requests,
                each[-1].connections,
            )
        )
    return found


def judge(found: Sequence[Row]) -> list[Figure]:
    """Every promise that the rows can be held against."""
    ours = [row for row in found if row.contender == contenders.OURS.name]
    faster = [
        Figure(f"{row.workload}: times the speed of KServe", row.ratio_kserve, "", ">=", FASTER[row.workload])
        for row in ours
        if row.ratio_kserve is not None
    ]
    first = [
        Figure(f"{row.workload}: process start to first byte", row.first_byte_s, "s", "<", FIRST_BYTE)
        for row in ours
        if row.workload.endswith("-one")
    ]
    return faster + first
