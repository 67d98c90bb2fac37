"""Back-off after wrong credentials."""

import os

import pytest

from model_service.access.lockout import FREE_FAILURES, MOST_SECONDS, SETS, Lockout
from model_service.records import WAYS


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_failure_after_the_free_ones_locks_for_twice_as_long() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(FREE_FAILURES):
        lockout.failed("a", "alice")
        assert lockout.seconds("a", "alice") == 0
    seen = []
    for _ in range(12):
        lockout.failed("a", "alice")
        seen.append(lockout.seconds("a", "alice"))
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert lockout.seconds("b", "alice") == lockout.seconds("a", "bob") == 0
    clock.now += 899.5
    assert lockout.seconds("a", "alice") == 1
    clock.now += 1
    assert lockout.seconds("a", "alice") == 0


def test_being_right_or_quiet_for_long_begins_anew() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(FREE_FAILURES + 3):
        lockout.failed("a", "alice")
        lockout.failed("a", "bob")
    lockout.succeeded("a", "alice")
    lockout.failed("a", "alice")
    assert lockout.seconds("a", "alice") == 0
    clock.now += MOST_SECONDS + 5
    lockout.failed("a", "bob")
    assert lockout.seconds("a", "bob") == 0


def test_an_ipv6_network_is_one_address() -> None:
    lockout = Lockout(Clock())
    for number in range(FREE_FAILURES + 1):
        lockout.failed(f"2001:db8::{number}", "alice")
    assert lockout.seconds("2001:db8:0:0:ffff::1", "alice") == 1
    assert lockout.seconds("2001:db8:0:1::1", "alice") == 0


def test_the_latest_are_still_known_when_more_come_than_there_is_room_for() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for number in range(2 * SETS * WAYS):
        clock.now += 0.001
        lockout.failed("stranger", str(number))
    for _ in range(FREE_FAILURES + 1):
        lockout.failed("a", "alice")
    for number in range(SETS):
        clock.now += 0.0001
        lockout.failed("another", str(number))
    assert lockout.seconds("a", "alice") == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_workers_count_together() -> None:
    lockout = Lockout()
    for _ in range(FREE_FAILURES + 10):
        child = os.fork()
        if child == 0:
            lockout.failed("a", "alice")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert 256 < lockout.seconds("a", "alice") <= 512  # one that was not counted would leave 256
    child = os.fork()
    if child == 0:
        lockout.succeeded("a", "alice")
        os._exit(0)
    os.waitpid(child, 0)
    assert lockout.seconds("a", "alice") == 0
