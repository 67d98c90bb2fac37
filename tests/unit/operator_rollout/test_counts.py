"""Sums, differences and distributions of what pods count."""

import math
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rollout import START, resource, started

from model_operator.rollout import Observation, counting
from model_operator.rollout.counts import growth, histogram, quantile, stability_index, total

COUNTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 1000))


@given(before=COUNTS, after=COUNTS)
def test_growth_is_never_negative_and_never_more_than_there_is(before: dict[str, int], after: dict[str, int]) -> None:
    grown = growth(before, after)
    assert all(0 <= grown[name] <= after[name] for name in after)


@given(st.lists(COUNTS, min_size=2))
def test_what_grew_between_looks_adds_up(looks: list[dict[str, int]]) -> None:
    running = [total(looks[: count + 1]) for count in range(len(looks))]
    parts = [growth(before, after) for before, after in pairwise(running)]
    assert total([running[0], *parts]) == running[-1]


def test_a_restart_counts_from_nothing() -> None:
    assert growth({"a": 10, "b": 5}, {"a": 3, "b": 7}) == {"a": 3, "b": 7}
    assert growth({"a": 10}, {}) == {}


def test_quantile_is_that_of_prometheus() -> None:
    buckets = histogram({"latency/0.1": 50, "latency/0.5": 40, "latency/inf": 10, "answers/ok": 100}, "latency")
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.7) == pytest.approx(0.1 + 0.4 * 20 / 40)
    assert quantile(buckets, 0.95) == 0.5
    assert quantile({}, 0.95) is None
    assert quantile({0.1: 0, math.inf: 0}, 0.95) is None


def counted(values: np.ndarray, bounds: list[float]) -> dict[float, float]:
    found, _ = np.histogram(values, [-math.inf, *bounds, math.inf])
    return dict(zip([*bounds, math.inf], map(float, found), strict=True))


def test_samples_of_one_distribution_do_not_differ() -> None:
    random = np.random.default_rng(7)
    tenths = [tenth / 10 for tenth in range(1, 10)]
    found = [
        stability_index(counted(random.beta(2, 5, 400), tenths), counted(random.beta(2, 5, 300), tenths))
        for _ in range(200)
    ]
    assert max(found) < 0.15
    assert np.mean(found) < 0.03


def test_shifted_samples_do_whatever_their_bounds() -> None:
    random = np.random.default_rng(7)
    ours, theirs = [tenth / 10 for tenth in range(1, 10)], [tenth / 7 for tenth in range(1, 7)]
    before, after = random.beta(2, 5, 1000), random.beta(5, 2, 1000)
    assert stability_index(counted(before, ours), counted(after, ours)) > 1
    assert stability_index(counted(before, ours), counted(after, theirs)) > 1
    assert stability_index(counted(before, ours), counted(random.beta(2, 5, 1000), theirs)) < 0.15
    assert stability_index({}, counted(after, ours)) == 0
    assert stability_index({0.5: 500, math.inf: 0}, {0.5: 0, math.inf: 500}) > 1
    assert stability_index({0.5: 500, math.inf: 0}, {0.5: 500, math.inf: 0}) == 0


def test_only_what_was_counted_since_a_step_began_is_judged() -> None:
    world = started()
    world.pods[0].count("2", "answers/failed", 1000)
    world.spec = resource("2")
    world.until("Stepping")
    assert world.state.counted(world.state.candidate).get("answers/failed", 0) == 0


def test_a_pod_that_was_out_of_reach_brings_nothing_of_the_time_before_the_step() -> None:
    world = started()
    world.spec = resource("2")
    world.until("Stepping")
    old = world.pods[0].seen().model_copy(update={"uid": "unseen", "started": START - timedelta(hours=1)})
    new = old.model_copy(update={"uid": "new", "started": world.now + timedelta(seconds=1)})
    for pod, expected in ((old, 0), (new, 7)):
        seen = pod.model_copy(update={"counts": {"2": {"answers/failed": 7}}})
        state = counting.counted(world.state.model_copy(update={"counts": {}}), Observation(pods=(seen,)))
        assert state.counts["2"].get("answers/failed", 0) == expected


def test_a_pod_that_is_gone_leaves_what_it_counted() -> None:
    world = started()
    world.spec = resource("2", analysis={"minRequests": 1000})
    world.until("Stepping")
    world.pods[0].count("2", "answers/ok", 30)
    world.turn()
    before = world.state.counted(world.state.candidate)["answers/ok"]
    world.replace(0)
    world.turn()
    assert world.state.counted(world.state.candidate)["answers/ok"] == before
