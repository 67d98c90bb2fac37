"""What wrk prints becomes numbers, and any failed request becomes a refusal."""

import orjson
import pytest
from benchmarks.serving import wrk
from benchmarks.serving.errors import FailedRequests

CLEAN = {
    "requests": 3000, "us": 1_500_000, "p50_us": 1250, "p99_us": 4000,
    "connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0,
}  # fmt: skip


def printed(**changed):
    return b"Running 1s test @ http://127.0.0.1\n  1 threads\n\n" + orjson.dumps(CLEAN | changed) + b"\n"


def test_rate_and_percentiles_are_read_from_the_last_line():
    assert wrk.parse(printed()) == wrk.Load(requests=3000, rps=2000.0, p50_ms=1.25, p99_ms=4.0)


@pytest.mark.parametrize("kind", wrk.ERRORS)
def test_one_failure_of_any_kind_refuses_the_run(kind):
    with pytest.raises(FailedRequests, match=kind):
        wrk.parse(printed(**{kind: 1}))


def test_a_run_without_an_answer_is_refused():
    with pytest.raises(FailedRequests, match="none answered"):
        wrk.parse(printed(requests=0))
