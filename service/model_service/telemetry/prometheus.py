"""Metrics as Prometheus reads them."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Exposed
from prometheus_client.registry import Collector

from model_service.telemetry.totals import Family, Totals


def expose(totals: Totals, accept: str) -> tuple[bytes, str]:
    """The scrape's body and its content type, in the text format that `accept` prefers."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(totals.families()))
    return encode(registry), content_type


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Exposed]:
        for family in self._families:
            yield _EXPOSE[family.metric.kind](family)


def _number(make: type[CounterMetricFamily | GaugeMetricFamily], family: Family) -> Exposed:
    exposed = make(family.metric.name, family.metric.help, labels=family.metric.labels)
    for total in family.totals:
        exposed.add_metric(total.labels, total.values[0])
    return exposed


def _histogram(family: Family) -> Exposed:
    exposed = HistogramMetricFamily(family.metric.name, family.metric.help, labels=family.metric.labels)
    for total in family.totals:
        bounds = [*map(repr, total.own or family.bounds), "+Inf"]
        exposed.add_metric(total.labels, list(zip(bounds, total.cumulative, strict=True)), total.values[-1])
    return exposed


_EXPOSE: dict[str, Callable[[Family], Exposed]] = {
    "counter": partial(_number, CounterMetricFamily),
    "gauge": partial(_number, GaugeMetricFamily),
    "histogram": _histogram,
}
