"""What a cloud adds: conditions instead of renames, answers that fail, and pushes that are cut short."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

BIG = bytes(range(256)) * (18 << 12)
"""18 MiB: several parts."""


def fetch(uri, root, *options):
    command = [sys.executable, "-m", "model_fetcher", "--root", str(root), uri, "--retry-budget", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def failing(status, times, match=lambda request: request.stores):
    """A fault that answers `times` matching requests with `status`, and counts them."""
    left = [status] * times

    def fault(request):
        if match(request):
            with suppress(IndexError):
                return left.pop()  # in one step, for requests come from several threads
        return None

    return fault


def test_the_manifest_is_last(bucket, make, run):
    run("push", make().path, bucket.uri)
    stored = [key.removeprefix("team/churn/1/") for key in bucket.gate.stored]
    assert (stored[0], stored[-1], len(stored)) == ("manifest.json.pushing", "manifest.json", 5)


def test_every_object_is_created_on_condition_that_there_is_none(bucket, make, run):
    run("push", make(big=BIG).path, bucket.uri)
    stored = [request for request in bucket.gate.requests if request.stores and not request.stores.endswith(".pushing")]
    assert len(stored) == 5
    assert all(request.only_new for request in stored)


def test_files_of_many_parts(bucket, make, run):
    made = make(big=BIG)
    assert run("push", made.path, bucket.uri).exit_code == 0
    assert bucket.tree() == made.below("churn/1")


@pytest.mark.parametrize("size", [5, len(BIG)])
def test_an_object_that_appears_meanwhile_is_not_replaced(bucket, make, run, size):
    made = make(big=BIG[:size])

    def meddle(request):
        if request.stores and request.stores.endswith("big"):
            bucket.gate.fault = lambda _: None
            bucket.put("churn/1/big", b"of another push")

    bucket.gate.fault = meddle
    result = run("push", made.path, bucket.uri)
    assert result.exit_code == 15
    assert "churn/1/big is there already with other content" in result.stderr
    assert bucket.tree()["churn/1/big"] == b"of another push"
    assert "churn/1/manifest.json" not in bucket.tree()


def test_two_at_once_who_push_different_things(bucket, make, run):
    """The one whose manifest comes second loses, and is told what won."""
    made, rival = make(), make(more=b"more")

    def overtake(request):
        if request.stores and request.stores.endswith("manifest.json"):
            bucket.gate.fault = lambda _: None
            bucket.put("churn/1/manifest.json", rival.files["manifest.json"])

    bucket.gate.fault = overtake
    result = run("push", made.path, bucket.uri)
    assert result.exit_code == 15
    assert rival.digest in result.stderr


def test_many_who_push_the_same(bucket, make, run):
    """All succeed, whoever is first."""
    made = make()
    command = [sys.executable, "-m", "modelport", "push", str(made.path), bucket.uri]
    pushes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(push.communicate(timeout=300)[1], push.returncode) for push in pushes] == [(b"", 0)] * 3
    assert bucket.tree() == made.below("churn/1")


def test_a_marker_that_another_push_removed_is_no_error(bucket, make, run):
    """It was there when this push looked, and has gone when it clears up."""
    made = make()

    def overtake(request):
        if request.method == "DELETE":
            bucket.gate.fault = lambda _: None
            bucket.delete("churn/1/manifest.json.pushing")

    bucket.gate.fault = overtake
    result = run("push", made.path, bucket.uri)
    assert result.exit_code == 0, result.stderr
    assert bucket.tree() == made.below("churn/1")


def test_an_answer_that_is_lost_is_no_conflict(bucket, make, run):
    """The object was stored, nobody said so; the second try finds it there."""
    made = make()
    bucket.gate.fault = failing(0, 1, lambda request: request.stores and request.stores.endswith("/model.joblib"))
    result = run("push", made.path, bucket.uri)
    assert result.exit_code == 0, result.stderr
    assert bucket.tree() == made.below("churn/1")


@pytest.mark.parametrize("status", [429, 503])
def test_answers_that_may_change_are_asked_for_again(bucket, make, run, status):
    made = make()
    bucket.gate.fault = failing(status, 2)
    assert run("push", made.path, bucket.uri).exit_code == 0
    assert bucket.tree() == made.below("churn/1")


@pytest.mark.parametrize(("status", "code", "who"), [(403, 10, "asked as"), (401, 10, "asked as"), (404, 11, "")])
def test_permanent_answers_are_told_once(bucket, make, run, status, code, who):
    bucket.gate.fault = failing(status, 999)
    result = run("push", make().path, bucket.uri)
    assert result.exit_code == code
    assert result.stderr.startswith(f"Error: {bucket.uri}/churn/1/")
    assert who in result.stderr
    assert "churn/1/manifest.json" not in bucket.tree()


def test_a_killed_push_is_no_version_and_goes_on_when_run_again(bucket, make, run, tmp_path):
    made = make(**{f"part{number}": b"%d" % number for number in range(20)})
    started = threading.Event()
    push = subprocess.Popen(
        [sys.executable, "-m", "modelport", "push", str(made.path), bucket.uri],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def kill(request):
        if len(bucket.gate.stored) > 10 and not started.is_set():
            started.set()
            os.kill(push.pid, signal.SIGKILL)
        return 503 if started.is_set() else None

    bucket.gate.fault = kill
    assert push.wait(300) == -signal.SIGKILL
    bucket.gate.fault = lambda _: None
    there = set(bucket.tree())
    assert 0 < len(there) < 24
    assert "churn/1/manifest.json.pushing" in there
    for pin in ([], ["--digest", made.digest]):
        assert fetch(f"{bucket.uri}/churn/1", tmp_path / "fetched", *pin).returncode == 11
    assert not list(tmp_path.glob("fetched/*/*"))
    bucket.gate.requests.clear()
    assert run("push", made.path, bucket.uri).exit_code == 0
    assert not (there - {"churn/1/manifest.json.pushing"}) & {key.removeprefix("team/") for key in bucket.gate.stored}
    assert bucket.tree() == made.below("churn/1")


def test_whoever_may_not_delete_can_push(bucket, make, run):
    made = make()
    bucket.gate.fault = failing(403, 9, lambda request: request.method == "DELETE")
    assert run("push", made.path, bucket.uri).exit_code == 0
    assert set(bucket.tree()) == {*made.below("churn/1"), "churn/1/manifest.json.pushing"}


def test_nobody_answers(bucket, make, run, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setattr("modelport.pushing.gcs.RETRY", None)
    result = run("push", make().path, bucket.uri)
    assert result.exit_code == 12
    assert bucket.uri in result.stderr
