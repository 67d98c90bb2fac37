"""Timings that a table of throughput does not show, each a file: measure something, return figures with targets."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.serving.figures import Figure
from benchmarks.serving.timings import (
    access,
    batching_off,
    collector_gone,
    first_request,
    large_json,
    overload,
    shadow,
    soak,
)
from benchmarks.serving.timings.stage import Stage

TIMINGS: Mapping[str, Callable[[Stage], Sequence[Figure]]] = {
    "first-request": first_request.measure,
    "batching-off": batching_off.measure,
    "large-json": large_json.measure,
    "collector-gone": collector_gone.measure,
    "overload": overload.measure,
    "access": access.measure,
    "shadow": shadow.measure,
    "soak": soak.measure,
}
