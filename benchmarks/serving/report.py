"""From what was seen to the rows of the table: medians over the rounds, ratios within a round."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypedDict

from benchmarks.serving.race import MAIN, Key, Point, Results
from benchmarks.serving.wrk import Load

NOISY = 1.15
"""Most over least of the limit, from which its rounds were not equal."""


class Row(TypedDict):
    """One server at one point, as it stands in the results file; null where there is nothing to compare with."""

    server: str
    model: str
    rows: int
    connections: int
    workers: int
    rps: float
    ratio_limit: float | None
    ratio_best_peer: float | None
    p50_ms: float
    p99_ms: float
    start_s: float
    pss_mb: float


class Report:
    """Rows of everything that may be reported, the main point first: a refused measurement has none."""

    def __init__(self, results: Results, limit: str, peers: Sequence[str]) -> None:
        self._results, self._limit, self._peers = results, limit, peers
        shown = [(key, point) for key, point in results.loads if self._loads(key, point)]
        shown.sort(key=lambda at: (at[1] != MAIN, at[1]))  # stable: models and servers stay as they raced
        self.rows = [self._row(key, point) for key, point in shown]

    def find(self, server: str, model: str, point: Point) -> Row | None:
        """The row of a server at a point, if it may be reported."""
        wanted = (server, model, point.rows, point.connections, point.workers)
        shown = ((row["server"], row["model"], row["rows"], row["connections"], row["workers"]) for row in self.rows)
        return next((row for row, at in zip(self.rows, shown, strict=True) if at == wanted), None)

    def least_of_peers(self, model: str, point: Point, value: Callable[[Row], float]) -> float | None:
        """The least of a value among the peers."""
        found = [value(row) for peer in self._peers if (row := self.find(peer, model, point))]
        return min(found) if found else None

    def _loads(self, key: Key, point: Point) -> list[Load]:
        return [] if (key, point) in self._results.refused else self._results.loads.get((key, point), [])

    def _row(self, key: Key, point: Point) -> Row:
        loads = self._loads(key, point)
        return Row(
            server=key[0], model=key[1], rows=point.rows, connections=point.connections, workers=point.workers,
            rps=round(median(load.rps for load in loads), 1),
            ratio_limit=self._ratio(loads, (self._limit, key[1]), point),
            ratio_best_peer=self._ratio(loads, self._fastest_peer(key[1], point), point),
            p50_ms=round(median(load.p50_ms for load in loads), 3),
            p99_ms=round(median(load.p99_ms for load in loads), 3),
            start_s=round(median(self._results.starts[key, point.workers]), 2),
            pss_mb=round(median(self._results.pss[key, point.workers]), 1),
        )  # fmt: skip

    def _ratio(self, loads: list[Load], other: Key | None, point: Point) -> float | None:
        """Median of the ratios of the rounds, so that a slow minute which hit both cancels out."""
        theirs = self._loads(other, point) if other else []
        pairs = list(zip(loads, theirs, strict=False))  # a round may be missing where a run was cut short
        return round(median(mine.rps / their.rps for mine, their in pairs), 4) if pairs else None

    def _fastest_peer(self, model: str, point: Point) -> Key | None:
        speeds = {
            (peer, model): median(load.rps for load in loads)
            for peer in self._peers
            if (loads := self._loads((peer, model), point))
        }
        return max(speeds, key=lambda key: speeds[key]) if speeds else None


COLUMNS: Sequence[tuple[str, str, str]] = (
    ("server", "server", "<18"),
    ("model", "model", "<9"),
    ("rows", "rows", ">5"),
    ("conns", "connections", ">6"),
    ("workers", "workers", ">8"),
    ("req/s", "rps", ">10,.0f"),
    ("of limit", "ratio_limit", ">9.3f"),
    ("x peer", "ratio_best_peer", ">8.2f"),
    ("p50 ms", "p50_ms", ">9.2f"),
    ("p99 ms", "p99_ms", ">9.2f"),
    ("start s", "start_s", ">8.2f"),
    ("PSS MB", "pss_mb", ">8.0f"),
)


def table(rows: Sequence[Row]) -> str:
    """Aligned columns, one line a row."""
    lines = ["".join(f"{title:{_width(form)}} " for title, _, form in COLUMNS).rstrip()]
    for row in rows:
        values = {str(key): value for key, value in row.items()}
        cells = [
            f"{'-':{_width(form)}}" if values[key] is None else f"{values[key]:{form}}" for _, key, form in COLUMNS
        ]
        lines.append(" ".join(cells).rstrip())
    return "\n".join(lines)


def _width(form: str) -> str:
    return form[0] + "".join(letter for letter in form[1:].split(".", maxsplit=1)[0] if letter.isdigit())


def noise(results: Results, limit: str) -> str:
    """A warning when the limit, which nothing but the machine can slow down, differs between the rounds."""
    for ((server, model), point), loads in results.loads.items():
        least, most = min(load.rps for load in loads), max(load.rps for load in loads)
        if server == limit and point == MAIN and most > NOISY * least:
            return (
                f"NOISY MACHINE: the limit itself went from {least:,.0f} to {most:,.0f} req/s ({model}). "
                "Something else was running; repeat when nothing is."
            )
    return ""


def spread(results: Results) -> list[str]:
    """Least and most of each rate, for judging how noisy the run was."""
    lines = []
    for ((server, model), point), loads in results.loads.items():
        rates = [load.rps for load in loads]
        lines.append(f"{server}, {model}, {point}: {min(rates):,.0f} to {max(rates):,.0f} req/s in {len(rates)} rounds")
    return lines
