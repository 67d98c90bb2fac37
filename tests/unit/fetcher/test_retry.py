"""The retry policy against a clock that only sleeping moves."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.delivery import DeliveryError, NotFound, Unreachable
from model_fetcher.errors import Misconfigured
from model_fetcher.retry import Progressed, Retry


@dataclass
class Time:
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def retry(self, budget: float = 60.0, jitter: float = 1.0) -> Retry:
        return Retry(budget, notify=self.notes.append, clock=lambda: self.now, sleep=self.sleep, jitter=lambda: jitter)


def failing(times: int, error: DeliveryError):
    left = [error] * times

    def attempt(_: Progressed) -> str:
        if left:
            raise left.pop()
        return "done"

    return attempt


def test_first_success_neither_waits_nor_talks():
    time = Time()
    assert time.retry().run(failing(0, Unreachable("x"))) == "done"
    assert (time.pauses, time.notes) == ([], [])


def test_pauses_double_up_to_the_longest_and_each_is_one_line():
    time = Time()
    assert time.retry(budget=1000).run(failing(8, Unreachable("host is away"))) == "done"
    assert time.pauses == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert time.notes[1] == "host is away; trying again in 1.0 s"
    assert len(time.notes) == 8


def test_server_may_ask_for_more_time():
    time = Time()
    time.retry().run(failing(1, Unreachable("busy", retry_after=7)))
    assert time.pauses == [7]


@pytest.mark.parametrize("error", [NotFound("gone"), Misconfigured("bad certificate")])
def test_permanent_errors_are_not_tried_again(error):
    time = Time()
    with pytest.raises(type(error)) as caught:
        time.retry().run(failing(1, error))
    assert caught.value is error
    assert time.pauses == []


def test_gives_up_with_the_same_kind_of_error_and_says_how_often_it_tried():
    time = Time()
    with pytest.raises(Unreachable, match=r"away \(gave up after 4 tries; no progress for 4 s\)"):
        time.retry(budget=5).run(failing(99, Unreachable("away")))


def test_a_longer_wait_than_the_budget_is_not_begun():
    time = Time()
    with pytest.raises(Unreachable, match="gave up after 1 try"):
        time.retry(budget=60).run(failing(1, Unreachable("busy", retry_after=3600)))
    assert time.pauses == []


def test_new_progress_renews_the_budget():
    time, reached = Time(), iter(range(10, 10_000, 10))

    def attempt(progressed: Progressed) -> str:
        size = next(reached)
        time.now += 50
        progressed(size)
        if size < 100:
            raise Unreachable("dropped")
        return "done"

    assert time.retry(budget=60).run(attempt) == "done"
    assert time.now > 500


def test_the_same_progress_again_does_not_renew_the_budget():
    time = Time()

    def attempt(progressed: Progressed) -> str:
        time.now += 10
        progressed(10)
        raise Unreachable("always drops there")

    with pytest.raises(Unreachable, match="gave up"):
        time.retry(budget=60).run(attempt)
    assert time.now < 100


@given(budget=st.floats(1, 500), jitter=st.floats(0, 1), waits=st.lists(st.floats(0, 100) | st.none(), max_size=30))
def test_never_sleeps_longer_than_the_budget(budget, jitter, waits):
    time, left = Time(), list(waits)

    def attempt(_: Progressed) -> None:
        raise Unreachable("away", retry_after=left.pop() if left else None)

    with pytest.raises(Unreachable):
        time.retry(budget, jitter).run(attempt)
    assert sum(time.pauses) <= budget
