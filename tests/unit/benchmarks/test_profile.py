"""Samples and histograms are added up rightly."""

from benchmarks.serving import profile

STACKS = [
    " 2",
    "run (uvicorn/server.py:10);predict (/site-packages/service/api.py:5);dumps (/site-packages/service/api.py:9) 6",
    "run (uvicorn/server.py:12);predict (/x/site-packages/service/api.py:7) 3",
    "run (uvicorn/server.py:12);predict (/site-packages/service/api.py:7);predict (/site-packages/service/api.py:7) 1",
]
METRICS = """\
# TYPE model_queue_duration_seconds histogram
model_queue_duration_seconds_bucket{model_name="a",le="0.1"} 4
model_queue_duration_seconds_sum{model_name="a"} 0.5
model_queue_duration_seconds_count{model_name="a"} 4
model_queue_duration_seconds_sum{model_name="b"} 0.25
model_queue_duration_seconds_count{model_name="b"} 1
model_ready 1
"""


def test_self_time_is_where_a_stack_ends_and_recursion_counts_once():
    own, whole = profile.shares(STACKS)
    assert own == {"dumps (service/api.py)": 6, "predict (service/api.py)": 4}
    assert whole == {"run (uvicorn/server.py)": 10, "predict (service/api.py)": 10, "dumps (service/api.py)": 6}


def test_histograms_are_summed_over_their_labels():
    assert profile.totals(METRICS) == {"model_queue_duration_seconds": (0.75, 5.0)}
