"""The metrics of all workers as one: what scrapes and exporters read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from model_artifact import __version__
from model_service.board import Board
from model_service.telemetry.metrics import METRICS, Metric, decode_key
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.shift import shift

WORKERS = Metric("service_workers", "gauge", "Worker processes: configured, and live (proven).", ("state",))
INFO = Metric("service_info", "gauge", "Always 1; the version is in the label.", ("version",))


@dataclass(slots=True)
class Total:
    """One series: label values, and numbers (one, or a histogram's counts by bucket and then its sum).

    `own` are numbers of a bundle's baseline: bounds of a histogram that has others than its family.
    """

    labels: tuple[str, ...]
    values: list[float]
    own: tuple[float, ...] = ()

    @property
    def cumulative(self) -> list[float]:
        """A histogram's counts up to each bound; the last is the number of observations."""
        return list(accumulate(self.values[:-1]))


@dataclass(slots=True)
class Family:
    """One metric with all of its series."""

    metric: Metric
    bounds: tuple[float, ...] = ()
    totals: list[Total] = field(default_factory=list)


class Totals:
    """Reads every slot; workers that ended still count in counters and histograms, not in gauges."""

    def __init__(self, series: SharedSeries, board: Board, latency_buckets: Sequence[float]) -> None:
        self._series, self._board, self._latency = series, board, tuple(latency_buckets)

    def families(self) -> list[Family]:
        """Every metric that has a value, in the table's order."""
        found = {metric.name: Family(metric, metric.bounds(self._latency)) for metric in METRICS}
        series: dict[bytes, tuple[Metric, Total]] = {}
        for slot in self._board.slots:
            alive = self._board.is_taken(slot)
            for key, cells in self._series.read(slot):
                if key not in series:
                    metric, labels = decode_key(key)
                    series[key] = metric, _empty(metric, labels, len(cells))
                    found[metric.name].totals.append(series[key][1])
                metric, total = series[key]
                if alive or metric.kind != "gauge":
                    _merge(metric, total, list(cells))
        found["model_score_shift"].totals = list(_shifts(found["model_score_shift"].totals))
        return [family for family in found.values() if family.totals] + self._own()

    def _own(self) -> list[Family]:
        workers = {"configured": self._board.configured, "live": self._board.live()}
        return [
            Family(WORKERS, (), [Total((state,), [float(count)]) for state, count in workers.items()]),
            Family(INFO, (), [Total((__version__,), [1.0])]),
        ]


def _empty(metric: Metric, labels: tuple[str, ...], values: int) -> Total:
    named = len(metric.labels)
    return Total(labels[:named], [0.0] * values, tuple(map(float, labels[named:])))


def _shifts(windows: Iterable[Total]) -> Iterator[Total]:
    for window in windows:
        index = shift(window.own, window.values)
        if index is not None:
            yield Total(window.labels, [index])


def _merge(metric: Metric, total: Total, values: list[float]) -> None:
    combine = max if metric.combine == "max" else float.__add__
    total.values = [combine(left, right) for left, right in zip(total.values, values, strict=True)]
