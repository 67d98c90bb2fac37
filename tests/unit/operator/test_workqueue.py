"""Turns: one at a time for a key, nothing lost, failures wait longer."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from model_operator.workqueue import LONGEST_WAIT, Key, WorkQueue

A, B = ("models", "a"), ("models", "b")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def queue() -> tuple[WorkQueue, Clock]:
    clock = Clock()
    return WorkQueue(clock), clock


def test_what_is_added_twice_has_one_turn() -> None:
    found, _ = queue()
    found.add(A)
    found.add(A)
    assert found.next_due() == (A, None)
    assert found.next_due() == (None, None)


def test_the_soonest_wish_counts() -> None:
    found, clock = queue()
    found.add(A, 10)
    found.add(A, 2)
    found.add(A, 30)
    assert found.next_due() == (None, 2)
    clock.now += 2
    assert found.next_due()[0] == A


def test_a_key_has_one_turn_at_a_time_and_another_one_for_what_came_meanwhile() -> None:
    found, _ = queue()
    found.add(A)
    assert found.next_due()[0] == A
    found.add(A)
    found.add(B)
    assert found.next_due()[0] == B
    assert found.next_due()[0] is None
    found.done(A, None)
    assert found.next_due()[0] == A


def test_done_asks_for_the_next_one() -> None:
    found, clock = queue()
    found.add(A)
    found.next_due()
    found.done(A, 5)
    assert found.next_due() == (None, 5)
    clock.now += 5
    assert found.next_due()[0] == A


def test_failures_wait_longer_each_time_and_a_success_forgets_them() -> None:
    found, clock = queue()
    waits = []
    found.add(A)
    for _ in range(8):
        assert found.next_due()[0] == A
        found.failed(A)
        wait = found.next_due()[1]
        assert wait is not None
        waits.append(wait)
        clock.now += wait
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT]
    found.next_due()
    found.done(A, None)
    found.add(A)
    found.next_due()
    found.failed(A)
    assert found.next_due()[1] == 1


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(0, 10)), max_size=30))
def test_everything_that_is_added_gets_a_turn_in_time(added: list[tuple[Key, float]]) -> None:
    found, clock = queue()
    for key, after in added:
        found.add(key, after)
    clock.now += 10
    turns = set()
    while (key := found.next_due()[0]) is not None:
        turns.add(key)
        found.done(key, None)
    assert turns == {key for key, _ in added}


def test_workers_give_turns_and_survive_a_failing_one() -> None:
    seen: list[Key] = []
    complaints: list[str] = []

    async def main() -> None:
        found = WorkQueue(asyncio.get_running_loop().time)
        everything = asyncio.Event()

        async def turn(key: Key) -> float | None:
            seen.append(key)
            if key == B and seen.count(B) == 1:
                raise ValueError("once")
            if seen.count(A) == seen.count(B) == 2:
                everything.set()
            return 0.01 if seen.count(A) < 2 else None

        workers = [
            asyncio.create_task(found.work(turn, lambda _, error: complaints.append(str(error)))) for _ in range(2)
        ]
        found.add(B)
        found.add(A)
        await asyncio.wait_for(everything.wait(), 60)
        for worker in workers:
            worker.cancel()

    asyncio.run(main())
    assert complaints == ["once"]
