"""Metrics as StatsD lines over UDP, with labels as tags in the form that DogStatsD, Telegraf and statsd_exporter read.

Counters are sent as what was added since the last sending, gauges as they are, and a histogram as two counters (its
observations and their sum) and the gauges p50, p95 and p99 of what was observed since.
"""

import socket
from collections.abc import Iterator, Sequence
from itertools import accumulate

from model_service.telemetry.series import SharedSeries
from model_service.telemetry.totals import Family, Total

DATAGRAM_BYTES = 1400
"""Of one packet: below what an Ethernet frame carries."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LEDGER_SLOT = 0


class StatsD:
    """Sends to `host:port`; what was sent is kept in shared memory, for the worker that may go on with it."""

    def __init__(self, address: str, seconds: float, ledger: SharedSeries) -> None:
        host, _, port = address.rpartition(":")
        self.seconds = seconds
        self._address = (host.strip("[]"), int(port))
        self._ledger = ledger

    def send(self, families: Sequence[Family]) -> None:
        """Send one round of lines."""
        family, kind, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sender:
            for packet in _packets(line for item in families for line in self._lines(item)):
                sender.sendto(packet, address)

    def _lines(self, family: Family) -> Iterator[bytes]:
        for total in family.totals:
            name, tags = family.metric.name, _tags(family, total)
            if family.metric.kind == "gauge":
                yield _line(name, total.values[0], "g", tags)
                continue
            new = self._since_last(family, total)
            if family.metric.kind == "counter":
                yield _line(name, new[0], "c", tags)
            elif sum(new[:-1]):
                yield _line(f"{name}.count", sum(new[:-1]), "c", tags)
                yield _line(f"{name}.sum", new[-1], "c", tags)
                for label, quantile in QUANTILES.items():
                    yield _line(f"{name}.{label}", _quantile(total.own or family.bounds, new[:-1], quantile), "g", tags)

    def _since_last(self, family: Family, total: Total) -> list[float]:
        key = "\x1f".join([family.metric.name, *total.labels]).encode()
        sent = self._ledger.find_or_add(_LEDGER_SLOT, key, len(total.values))
        new = [now - before for now, before in zip(total.values, sent, strict=True)]
        for index, value in enumerate(total.values):
            sent[index] = value
        return new


def _quantile(bounds: Sequence[float], counts: Sequence[float], quantile: float) -> float:
    """The value below which `quantile` of the observations lie, evenly spread within their bucket."""
    cumulative = list(accumulate(counts))
    rank = quantile * cumulative[-1]
    index = next(position for position, count in enumerate(cumulative) if count >= rank)
    if index == len(bounds):
        return bounds[-1]
    low = bounds[index - 1] if index else min(0.0, bounds[0])
    before = cumulative[index - 1] if index else 0.0
    return low + (bounds[index] - low) * (rank - before) / counts[index]


def _tags(family: Family, total: Total) -> str:
    return ",".join(f"{name}:{_clean(value)}" for name, value in zip(family.metric.labels, total.labels, strict=True))


def _clean(value: str) -> str:
    return "".join("_" if character in ",|#:\n" else character for character in value)


def _line(name: str, value: float, kind: str, tags: str) -> bytes:
    return f"{name}:{value:.15g}|{kind}{f'|#{tags}' if tags else ''}".encode()


def _packets(lines: Iterator[bytes]) -> Iterator[bytes]:
    packet = b""
    for line in lines:
        if packet and len(packet) + 1 + len(line) > DATAGRAM_BYTES:
            yield packet
            packet = b""
        packet = packet + b"\n" + line if packet else line
    if packet:
        yield packet
