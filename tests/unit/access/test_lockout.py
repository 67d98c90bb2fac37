"""Back-off after wrong credentials."""

from model_service.access.lockout import FREE_FAILURES, MOST_ENTRIES, MOST_SECONDS, Lockout


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


def test_an_ipv6_network_is_one_address_and_long_names_are_cut() -> None:
    lockout = Lockout(Clock())
    for number in range(FREE_FAILURES + 1):
        lockout.failed(f"2001:db8::{number}", "n" * 100_000)
    assert lockout.seconds("2001:db8:0:0:ffff::1", "n" * 200_000) == 1
    assert lockout.seconds("2001:db8:0:1::1", "n" * 200) == 0
    assert all(len(name) <= 128 for _, name in lockout._records)


def test_memory_is_bounded_and_the_oldest_is_forgotten() -> None:
    lockout = Lockout(Clock())
    for _ in range(FREE_FAILURES + 1):
        lockout.failed("first", "")
    for number in range(MOST_ENTRIES - 1):
        lockout.failed(str(number), "")
    assert lockout.seconds("first", "") == 1
    lockout.failed("one more", "")
    assert lockout.seconds("first", "") == 0
