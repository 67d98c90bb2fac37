"""Golden replay: the answers packed with a model, asked again here; it also warms the runtime up and times it."""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from model_artifact.bundle import Bundle
from model_artifact.coercion import Row
from model_artifact.samples import Answer, Golden, parse_golden
from model_service.answers import Writer, plain
from model_service.errors import LoadFailed
from model_service.hooks import Hooks
from model_service.runtimes.base import Answers, Runtime
from model_service.schema import Schema

TIMED_CALLS = 15
TIMED_ROWS = 64
PROVEN = "proven"
MAX_VERDICT = 3000


def replay(bundle: Bundle, runtime: Runtime, schema: Schema, hooks: Hooks | None = None) -> int:
    """Prove that `runtime` answers the bundle's golden rows as the estimator did; a bundle without any passes.

    The rows take the way of requests, through the bundle's hooks; what is compared is the model's own answer.

    Returns:
        Rows that a call may hold and still be cheaper than a hop to a thread and back, as measured here.

    Raises:
        LoadFailed: naming the first row whose answer differs by more than the bundle's tolerance.
    """
    if bundle.manifest.golden is None:
        return 0
    golden = parse_golden(bundle.path(bundle.manifest.golden).read_bytes())
    try:
        rows, answers = through(list(golden.inputs), runtime, schema, hooks)
        differences = list(_differences(golden, answers))
    except Exception as error:  # the model is unknown code: whatever it raises, it cannot serve
        raise LoadFailed(f"golden rows of {bundle.directory} cannot be answered: {str(error)[:300]}") from error
    for index, sentence in differences:
        raise LoadFailed(f"golden row {index} of {bundle.directory} is answered wrong: {sentence}")
    return _rows_cheaper_than_a_hop(runtime, rows)


def replay_apart(bundle: Bundle, runtime: Runtime, hooks: Hooks | None) -> None:
    """Replay in a forked process, which may die of it: for a supervisor that must go on, and must start no threads.

    Raises:
        LoadFailed: as `replay`, or the process died.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, _verdict(bundle, runtime, hooks).encode()[:MAX_VERDICT])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        verdict = pipe.read().decode(errors="replace")
    with suppress(ChildProcessError):  # a supervisor reaps every child that it notices
        os.waitpid(child, 0)
    if verdict != PROVEN:
        raise LoadFailed(verdict or f"the process that tried {bundle.directory} died")


def _verdict(bundle: Bundle, runtime: Runtime, hooks: Hooks | None) -> str:
    try:
        replay(bundle, runtime, Schema(runtime.signature), hooks)
    except Exception as error:  # whatever it is, it must not come back as a second supervisor
        return str(error) or type(error).__name__
    return PROVEN


def through(requests: list[Any], runtime: Runtime, schema: Schema, hooks: Hooks | None) -> tuple[list[Row], Answers]:
    """Rows and answers of requests; of `postprocess` it is only seen that it takes the answers.

    Raises:
        ServiceError: a hook, or the signature, refuses them.
    """
    rows = schema.decode(requests if hooks is None else hooks.before(requests))
    answers = runtime.predict(rows)
    if hooks is not None:
        written = Writer(schema.signature, "golden", "rows").predictions((plain(answers), 0), len(rows))
        hooks.after(msgspec.to_builtins(written))
    return rows, answers


def _rows_cheaper_than_a_hop(runtime: Runtime, rows: Sequence[Row]) -> int:
    """The largest n for which `one + (n - 1) * more`, the seconds of a row and of each further one, undercut a hop."""
    if not rows:
        return 0
    many = [rows[index % len(rows)] for index in range(TIMED_ROWS)]
    hop = asyncio.run(_hop_seconds())
    one, all_of_them = _seconds(runtime, many[:1]), _seconds(runtime, many)
    if one >= hop:
        return 0
    more = max((all_of_them - one) / (TIMED_ROWS - 1), 1e-9)
    return 1 + int((hop - one) / more)


def _seconds(runtime: Runtime, rows: list[Row]) -> float:
    return statistics.median(_timed(runtime, rows) for _ in range(TIMED_CALLS))


def _timed(runtime: Runtime, rows: list[Row]) -> float:
    started = time.perf_counter()
    runtime.predict(rows)
    return time.perf_counter() - started


async def _hop_seconds() -> float:
    """A call of nothing in a thread, as the event loop sees it."""
    loop, durations = asyncio.get_running_loop(), []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        await loop.run_in_executor(None, int)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def _differences(golden: Golden, answers: Answers) -> Iterator[tuple[int, str]]:
    scores = [None] * len(answers) if answers.probabilities is None else answers.probabilities.tolist()
    pairs = zip(golden.outputs, answers.predictions.tolist(), scores, strict=True)
    for index, (expected, prediction, row) in enumerate(pairs):
        if not _same(expected.prediction, prediction, golden.tolerance):
            yield index, f"expected {expected.prediction!r}, got {prediction!r}"
        elif not _same_scores(expected, row, golden.tolerance):
            yield index, f"expected probabilities {expected.probabilities}, got {row}"


def _same_scores(expected: Answer, row: list[float] | None, tolerance: float) -> bool:
    return expected.probabilities is None or _same(list(expected.probabilities), row, tolerance)


def _same(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(_same(left, right, tolerance) for left, right in zip(expected, got, strict=True))
        )
    if isinstance(expected, float) and isinstance(got, (int, float)):
        return math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    return bool(expected == got)
