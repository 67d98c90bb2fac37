"""Proof that a file answers as the estimator does, measured in another process, through the runtime that serves it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_artifact.coercion import Row
from model_artifact.manifest import FormatKind, Parity
from model_artifact.samples import Answer
from modelport.packing.answers import compare
from modelport.packing.attempt import NotKept

TIMEOUT_SECONDS = 900
LIMITS: dict[FormatKind, float] = {"onnx": 1e-5, "skops": 1e-9, "joblib": 1e-9}
"""Largest error of a score. Pickled forms are the estimator itself; only sums over another batch size may differ."""


@dataclass(frozen=True)
class Proof:
    """What was measured: parity, seconds to load and to answer one row, and the process's peak memory in bytes."""

    parity: Parity
    load_seconds: float
    single_row_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Evidence:
    """Rows, and the estimator's answers to them; `numeric` as in `compare`."""

    rows: Sequence[Row]
    answers: Sequence[Answer]
    numeric: bool


def prove(bundle: Path, kind: FormatKind, evidence: Evidence) -> Proof:
    """Answer the rows with one format of a staged bundle.

    Raises:
        NotKept: it cannot be loaded or run, or its answers differ.
    """
    report = answer(bundle, kind, evidence.rows)
    got = answers_of(report)
    parity = compare(evidence.answers, got, numeric=evidence.numeric)
    if parity.agreement < 1:
        raise NotKept(f"{1 - parity.agreement:.2%} of {parity.rows} predictions differ from the estimator's")
    if parity.max_error > LIMITS[kind]:
        raise NotKept(f"scores differ from the estimator's by {parity.max_error:.1e} (limit {LIMITS[kind]:.0e})")
    return Proof(parity, report["load_seconds"], report["single_row_seconds"], report["peak_rss_bytes"])


def answer(bundle: Path, kind: FormatKind, rows: Sequence[Any], *, hooks: bool = False) -> dict[str, Any]:
    """Answer rows with one format of a staged bundle; with `hooks` they are requests and go through its hooks.

    Returns:
        The report of `model_service.prove`.

    Raises:
        NotKept: it cannot be loaded or run; the reason is the last thing it said.
    """
    # -P: a class that is only found because we stand beside its module would not be found by the service
    command = [sys.executable, "-P", "-m", "model_service.prove", str(bundle), "--format", kind, "--allow-pickle"]
    document = json.dumps({"rows": list(rows), "hooks": hooks}, allow_nan=False)
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, input=document, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotKept(f"it did not answer {len(rows)} rows in {TIMEOUT_SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise NotKept(lines[-1] if lines else f"the runtime ended with exit code {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def answers_of(report: dict[str, Any]) -> list[Answer]:
    """The answers in a report."""
    return [
        Answer(item["prediction"], None if item["probabilities"] is None else tuple(item["probabilities"]))
        for item in report["answers"]
    ]
