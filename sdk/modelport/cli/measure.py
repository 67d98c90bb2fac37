"""What serving a bundle costs, measured by loading it in the service's own runtime, and what to ask Kubernetes for.

Memory to request: for each worker the most that the runtime held while loading and predicting, and what the HTTP server
holds beside it; once the process that supervises the workers; all rounded up. The limit leaves half as much again for
traffic: large requests and batches. One worker computes on one CPU.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from model_artifact.bundle import Bundle
from model_artifact.manifest import FormatKind
from model_artifact.samples import parse_golden
from modelport.cli.children import capture, last_line

MEBIBYTE = 1 << 20
HTTP_SERVER = 32 * MEBIBYTE
"""What an idle worker was measured to hold beyond its runtime."""

SUPERVISOR = 64 * MEBIBYTE
"""What the supervising process was measured to hold, less what it shares with its workers."""

ROUNDED_TO = 64 * MEBIBYTE
LIMIT_FACTOR = 1.5
RUNS_CODE: frozenset[FormatKind] = frozenset({"joblib"})
"""Formats that can run code when they are loaded, so that looking at one must not load it unasked."""


@dataclass(frozen=True)
class Measurement:
    """One format in the service's runtime; seconds and bytes are null where `note` says why."""

    format: FormatKind
    load_seconds: float | None = None
    single_row_seconds: float | None = None
    peak_rss_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Resources:
    """Kubernetes quantities for one pod."""

    workers: int
    memory_request: str
    memory_limit: str
    cpu_request: str


def golden_rows(bundle: Bundle) -> tuple[object, ...]:
    """The golden inputs of a bundle; none where it has none."""
    if bundle.manifest.golden is None:
        return ()
    return parse_golden(bundle.path(bundle.manifest.golden).read_bytes()).inputs


def measure(bundle: Bundle, *, allow_pickle: bool) -> list[Measurement]:
    """Load each format in a process of its own and let it answer the golden rows."""
    rows = json.dumps({"rows": golden_rows(bundle), "hooks": bundle.manifest.hooks is not None}).encode()
    return [_measure(bundle, item.kind, rows, allow_pickle) for item in bundle.manifest.formats]


def _measure(bundle: Bundle, kind: FormatKind, rows: bytes, allow_pickle: bool) -> Measurement:
    what = "it is a pickle" if kind in RUNS_CODE else "hooks run with it" if bundle.manifest.hooks else ""
    if what and not allow_pickle:
        return Measurement(kind, note=f"not loaded: {what}; --allow-pickle if you trust it")
    trust = ["--allow-pickle"] if allow_pickle else []
    done = capture("model_service.prove", [str(bundle.directory), "--format", kind, *trust], rows)
    if done.returncode:
        return Measurement(kind, note=last_line(done.stderr))
    report = json.loads(done.stdout)
    return Measurement(kind, report["load_seconds"], report["single_row_seconds"], report["peak_rss_bytes"])


def advise(measurements: Sequence[Measurement], workers: int) -> Resources | None:
    """Resources for the format that the service prefers, the first that was measured; null when none was."""
    peaks = [item.peak_rss_bytes for item in measurements if item.peak_rss_bytes is not None]
    if not peaks:
        return None
    request = _round_up(workers * (peaks[0] + HTTP_SERVER) + SUPERVISOR)
    return Resources(workers, _quantity(request), _quantity(_round_up(request * LIMIT_FACTOR)), str(workers))


def _round_up(count: float) -> int:
    return math.ceil(count / ROUNDED_TO) * ROUNDED_TO


def _quantity(count: int) -> str:
    return f"{count // MEBIBYTE}Mi"
