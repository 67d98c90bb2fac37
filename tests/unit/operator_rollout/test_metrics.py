"""What is read from a pod's /metrics."""

import pytest

from model_operator.rollout.metrics import parse

TEMPLATE = """\
# HELP model_request_duration_seconds From the arrival of a predict request to its answer.
# TYPE model_request_duration_seconds histogram
model_request_duration_seconds_bucket{@,variant="candidate",outcome="ok",le="0.1"} 3
model_request_duration_seconds_bucket{@,variant="candidate",outcome="ok",le="0.5"} 7
model_request_duration_seconds_bucket{@,variant="candidate",outcome="ok",le="+Inf"} 8
model_request_duration_seconds_count{@,variant="candidate",outcome="ok"} 8
model_request_duration_seconds_bucket{@,variant="named",outcome="deadline",le="0.1"} 0
model_request_duration_seconds_bucket{@,variant="named",outcome="deadline",le="0.5"} 1
model_request_duration_seconds_bucket{@,variant="named",outcome="deadline",le="+Inf"} 2
model_request_duration_seconds_count{@,variant="named",outcome="deadline"} 2
model_request_duration_seconds_count{@,variant="named",outcome="invalid"} 5
model_request_duration_seconds_count{@,variant="named",outcome="cancelled"} 9
model_request_duration_seconds_count{@,variant="shadow",outcome="ok"} 100
model_request_duration_seconds_count{model_name="fraud",model_version="2",variant="default",outcome="ok"} 1000
# TYPE model_prediction_score histogram
model_prediction_score_bucket{@,le="0.5"} 4
model_prediction_score_bucket{@,le="+Inf"} 6
model_shadow_requests_total{@,outcome="ok"} 11
model_shadow_requests_total{@,outcome="dropped"} 2
model_shadow_score_difference_count{@} 22
model_shadow_disagreements_total{@} 3
model_score_shift{@} 0.25
something_else{@} 1
"""
TEXT = TEMPLATE.replace("@", 'model_name="churn",model_version="2"')


def test_counts_are_those_of_the_model_by_version() -> None:
    scrape = parse(TEXT, "churn")
    assert scrape.counts == {
        "2": {
            "answers/ok": 8, "answers/failed": 2, "answers/invalid": 5,
            "latency/0.1": 3, "latency/0.5": 5, "latency/inf": 2,
            "score/0.5": 4, "score/inf": 2,
            "shadow/ok": 11, "shadow/dropped": 2, "shadow/rows": 22, "shadow/differs": 3,
        }
    }  # fmt: skip
    assert scrape.shifts == {"2": 0.25}


def test_a_pod_without_such_metrics_has_counted_nothing() -> None:
    assert parse("process_open_fds 7\n", "churn") == ({}, {})


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse("model_score_shift{", "churn")
