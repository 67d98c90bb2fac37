import io

import pytest

from modelport.cli.bar import Bar
from modelport.pushing.progress import Meter, Progress, Stopped

HALF = Progress("churn 3", 50 << 20, 100 << 20, 40 << 20, 4.0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def bar(*, terminal):
    clock, stream = Clock(), io.StringIO()
    return Bar(stream, terminal=terminal, clock=clock), clock, stream


def test_a_terminal_gets_a_bar_that_goes_away():
    shown, clock, stream = bar(terminal=True)
    with shown:
        clock.now = 0.2
        shown.tell(HALF)
        assert stream.getvalue() == (
            f"\r\x1b[Kchurn 3 [{'#' * 12}{'.' * 12}] 50.0 MiB of 100.0 MiB, 10.0 MiB/s, 5 s left"
        )
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_there_is_a_line_now_and_then():
    shown, clock, stream = bar(terminal=False)
    with shown:
        for clock.now in (0.2, 4.9, 5.0, 5.1, 10.2):
            shown.tell(HALF)
    assert stream.getvalue().splitlines() == ["pushing churn 3: 50.0 MiB of 100.0 MiB, 10.0 MiB/s, 5 s left"] * 2


def test_nothing_sent_yet_leaves_no_estimate():
    shown, clock, stream = bar(terminal=False)
    clock.now = 9
    shown.tell(Progress("churn 3", 0, 0, 0, 1))
    assert stream.getvalue() == "pushing churn 3: 0 B of 0 B, 0 B/s\n"


def test_the_meter_adds_up_files_and_counts_what_is_there():
    told, clock = [], Clock()
    meter = Meter("churn 3", 100, told.append, clock)
    meter.skip(30)
    meter.at("a", 10)
    meter.at("b", 20)
    meter.at("a", 5)  # begun again
    clock.now = 2.0
    meter.at("a", 50)
    assert told[-1] == Progress("churn 3", 100, 100, 70, 2.0)
    assert [each.done for each in told] == [40, 60, 55, 100]
    assert meter.sent == 70


def test_a_stopped_meter_ends_what_is_still_sent():
    meter = Meter("churn 3", 100, lambda _: None)
    meter.stop()
    with pytest.raises(Stopped):
        meter.at("a", 1)
