"""Which receivers of metrics are asked for: one line for each kind."""

from model_service.settings import Settings
from model_service.telemetry import otlp
from model_service.telemetry.push import Sink
from model_service.telemetry.series import SharedSeries
from model_service.telemetry.statsd import StatsD
from model_service.telemetry.tracing import make_resource


def make_sinks(settings: Settings, series: SharedSeries, ledger: SharedSeries) -> list[Sink]:
    """The receivers that settings and environment name; `ledger` keeps what those that want differences were sent."""
    sinks: list[Sink] = []
    if settings.statsd_address is not None:
        sinks.append(StatsD(settings.statsd_address, settings.statsd_seconds, ledger))
    if otlp.wanted():
        sinks.append(otlp.Otlp(make_resource(), series.started))
    return sinks
