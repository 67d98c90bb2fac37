"""What people and machines are told: URIs without secrets, one last line, a termination message that fits."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_artifact.delivery import AccessDenied, ChecksumMismatch, NotFound, Unreachable
from model_fetcher.fetch import Outcome
from model_fetcher.progress import Progress, duration
from model_fetcher.report import (
    TERMINATION_LIMIT,
    failure_line,
    failure_message,
    success_line,
    write_termination_message,
)
from model_fetcher.settings import TERMINATION_LOG
from model_fetcher.uris import redact

OUTCOME = Outcome(Path("/m/churn/3"), "churn", "3", "sha256:ab", 2_500_000, 1.25, "anonymous", already_there=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@host/a?sig=x: not found", "https://host/a not found"),
        ("see 'https://host/a?sig=x' now", "see 'https://host/a' now"),
        ("https://u:p@ss@host/a#f", "https://host/a"),
        ("gs://bucket/key and /plain/path?", "gs://bucket/key and /plain/path?"),
    ],
)
def test_secrets_of_uris_are_not_shown(text, shown):
    assert redact(text) == shown


@given(st.text("abcXYZ019%:@", min_size=1), st.text("abcXYZ019%=&", min_size=1))
def test_no_user_or_query_survives(user, query):
    assert redact(f"https://{user}@host/path?{query}") == "https://host/path"


def test_success_is_a_sentence_on_a_terminal_and_json_elsewhere():
    assert success_line(OUTCOME, terminal=True) == (
        "churn 3 is published: /m/churn/3 (sha256:ab; 2.5 MB in 1.2 s as anonymous)"
    )
    fields = json.loads(success_line(OUTCOME, terminal=False))
    assert fields["path"] == "/m/churn/3"
    assert (fields["digest"], fields["moved"], fields["already_there"]) == ("sha256:ab", 2_500_000, False)


def located(error):
    error.uri, error.identity = "gs://b/k", "svc@project"
    return error


def test_the_last_line_names_who_asked_where_that_matters():
    assert failure_line(located(NotFound("gs://b/k: nothing"))) == "NotFound: gs://b/k: nothing (asked as svc@project)"
    assert "svc@project" in failure_line(located(AccessDenied("no")))
    assert "svc@project" not in failure_line(located(ChecksumMismatch("no")))
    assert failure_line(Unreachable("https://u:p@h/x?y: away")) == "Unreachable: https://h/x away"


LONG = st.builds(lambda text, times: text * times, st.text(min_size=1), st.integers(0, 3000))


@given(LONG, LONG, LONG)
def test_the_termination_message_always_fits_and_parses(message, uri, identity):
    error = ChecksumMismatch(message)
    error.uri, error.identity = uri, identity
    text = failure_message(error)
    assert len(text.encode()) < TERMINATION_LIMIT
    assert json.loads(text)["reason"] == "ChecksumMismatch"


def test_termination_message_has_the_four_fields():
    fields = json.loads(failure_message(located(NotFound("nothing"))))
    assert fields == {"reason": "NotFound", "uri": "gs://b/k", "identity": "svc@project", "message": "nothing"}


def test_termination_message_goes_where_it_is_told_and_never_fails(tmp_path):
    existed = TERMINATION_LOG.exists()
    write_termination_message(tmp_path / "log", "x")
    assert (tmp_path / "log").read_text() == "x"
    write_termination_message(tmp_path / "no" / "folder", "x")
    write_termination_message(TERMINATION_LOG, "x")
    assert TERMINATION_LOG.exists() == existed


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_on_a_terminal_is_one_moving_bar_with_rate_and_time_left():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, terminal=True, clock=clock)
    progress.begin("churn", 4_000_000)
    progress.add(1_000_000)
    assert stream.getvalue() == ""
    clock.now = 0.5
    progress.add(1_000_000)
    clock.now = 1.0
    progress.note("again")
    progress.add(2_000_000)
    progress.end()
    assert stream.getvalue().split("\r\x1b[K")[1:] == [
        "churn: [############............]  50% 2.0 MB of 4.0 MB, 4.0 MB/s, 0:00 left",
        "again\n",
        "churn: [########################] 100% 4.0 MB of 4.0 MB, 4.0 MB/s, 0:00 left",
        "churn: [########################] 100% 4.0 MB of 4.0 MB, 4.0 MB/s\n",
    ]


def test_rate_and_time_left_count_only_what_is_moved_now():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, terminal=True, clock=clock)
    progress.begin("churn", 800_000_000)
    progress.skip(400_000_000)
    clock.now = 1.0
    progress.add(1_000_000)
    assert stream.getvalue().endswith(" 50% 401.0 MB of 800.0 MB, 1.0 MB/s, 6:39 left")
    assert progress.moved == 1_000_000


def test_progress_elsewhere_is_json_lines_now_and_then():
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress.begin("churn", 20_000)
    for second in range(1, 12):
        clock.now = second
        progress.add(1000)
    progress.end()
    progress.note("busy", "warning")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["message"] for line in lines] == ["fetching", "fetching", "fetched", "busy"]
    assert [line.get("bytes") for line in lines] == [5000, 10000, 11000, None]
    assert [line.get("seconds_left") for line in lines] == [15, 10, None, None]
    assert (lines[-1]["level"], lines[0]["total"], lines[2]["bytes_per_s"]) == ("warning", 20_000, 1000)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (75, "1:15"), (3_725, "1:02:05")])
def test_time_left_reads_as_a_clock(seconds, shown):
    assert duration(seconds) == shown
