"""Large objects come in parts, and a run that was stopped is gone on with by the next one."""

import os
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256

import pytest

from model_artifact.bundle import verify
from model_artifact.delivery import AccessDenied, ChecksumMismatch, Unreachable
from model_artifact.publish import STAGING
from model_fetcher import landing, workspace
from model_fetcher.destinations import Folder

PART = 64 << 10
MODEL = os.urandom(PART * 5 + 123)
PIN = sha256(MODEL).hexdigest()


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(landing, "PART", PART)


@pytest.fixture
def uri(web):
    web.put("m.onnx", MODEL)
    return web.uri("m.onnx")


def part_of(handler):
    """Which part a request is for."""
    return int(handler.headers["Range"].removeprefix("bytes=").split("-")[0]) // PART


def broken(web, *parts, status=503, after=lambda: None):
    """Make a server answer only for other parts than these, which it refuses `after`; returns those asked for."""
    asked = []

    def answer(handler):
        number = part_of(handler)
        asked.append(number)
        if number in parts:
            after()
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            web.give(handler, web.objects[handler.path])

    web.answer = answer
    return asked


def wait_for_parts(root, *numbers):
    """Until a ledger says that the parts are complete."""
    until, wanted = time.monotonic() + 60, set(map(str, numbers))
    while not any(wanted <= set(path.read_text().split("\n")[1:]) for path in root.rglob("ledgers/*")):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def stopped(web, uri, fetch, root):
    """A run that got all but some parts."""

    def run(*missing, **options):
        others = set(range(-(-len(MODEL) // PART))) - set(missing)
        broken(web, *missing, after=lambda: wait_for_parts(root, *others))  # for a failure stops all others
        with pytest.raises((Unreachable, AccessDenied)):
            fetch(uri, **options)
        web.sent = 0
        return broken(web)

    return run


def test_parts_are_asked_for_side_by_side_and_make_up_the_whole(web, uri, fetch):
    done = fetch(uri)
    assert (done.path / "m.onnx").read_bytes() == MODEL
    assert sorted(headers["Range"] for _, headers in web.requests) == sorted(
        f"bytes={start}-{start + PART - 1}" for start in range(0, len(MODEL), PART)
    )
    assert done.moved == web.sent == len(MODEL)


@pytest.mark.parametrize(("tags", "ranges"), [(False, True), (True, False), (False, False)])
def test_servers_that_give_no_parts_or_no_version_are_read_in_one_go(web, uri, fetch, tags, ranges):
    web.tags, web.ranges = tags, ranges
    assert (fetch(uri).path / "m.onnx").read_bytes() == MODEL
    assert web.requests[-1][1].get("Range") is None or not ranges


@pytest.mark.parametrize("missing", [[5], [1], [2, 3]])
def test_next_run_fetches_only_what_is_missing(stopped, uri, fetch, web, missing):
    asked = stopped(*missing)
    done = fetch(uri)
    assert (done.path / "m.onnx").read_bytes() == MODEL
    assert set(asked) == set(missing)
    assert done.moved == web.sent <= PART * len(missing)


def test_credentials_may_be_renewed_between_the_runs(web, uri, fetch, root):
    broken(web, 4, status=403, after=lambda: wait_for_parts(root, 0))  # for a refusal stops all others at once
    with pytest.raises(AccessDenied):
        fetch(uri)
    asked = broken(web)
    assert (fetch(uri).path / "m.onnx").read_bytes() == MODEL
    assert 4 in asked
    assert 0 not in asked


def test_object_that_changed_between_the_runs_is_begun_anew(stopped, web, uri, fetch):
    stopped(3)
    web.put("m.onnx", new := os.urandom(len(MODEL)))
    assert (fetch(uri).path / "m.onnx").read_bytes() == new


def test_object_that_changes_within_a_run_is_begun_anew(web, uri, fetch, patience):
    new = os.urandom(PART * 3)

    def answer(handler):
        if part_of(handler) == 4:
            web.put("m.onnx", new)
        web.give(handler, web.objects[handler.path])

    web.answer = answer
    assert (fetch(uri).path / "m.onnx").read_bytes() == new
    assert any("changed while it was read" in note or "shorter" in note for note in patience.notes)


def partial_file(root):
    (found,) = (root / STAGING).glob("*.part/bundle/m.onnx")
    return found


def test_damage_to_what_was_kept_is_noticed_and_healed(stopped, uri, fetch, root):
    stopped(3, sha256=PIN)
    with partial_file(root).open("r+b") as file:
        file.seek(PART + 7)
        file.write(b"rot")
    assert (fetch(uri, sha256=PIN).path / "m.onnx").read_bytes() == MODEL


def test_wrong_object_is_not_fetched_over_and_over(web, uri, fetch):
    with pytest.raises(ChecksumMismatch):
        fetch(uri, sha256="0" * 64)
    assert web.sent == len(MODEL)


def test_what_was_kept_before_a_restart_of_the_machine_does_not_count(stopped, uri, fetch, web, tmp_path, monkeypatch):
    stopped(3)
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(landing, "BOOT", tmp_path / "boot")
    fetch(uri)
    assert web.sent == len(MODEL)


@pytest.mark.parametrize("ledger", [b"", b"\xff", b"{}\n", b"[]\n1\n", b'{"size": -1}\n'])
def test_damaged_ledger_means_to_begin_anew(stopped, uri, fetch, root, ledger):
    stopped(3)
    (found,) = (root / STAGING).glob("*.part/ledgers/*")
    found.write_bytes(ledger)
    assert (fetch(uri).path / "m.onnx").read_bytes() == MODEL


def test_half_written_line_of_a_ledger_does_not_count(stopped, uri, fetch, root):
    stopped(1, 2, 3, 4, 5)
    (found,) = (root / STAGING).glob("*.part/ledgers/*")
    with found.open("a") as file:
        file.write("3")
    assert (fetch(uri).path / "m.onnx").read_bytes() == MODEL


def test_complete_files_of_a_bundle_are_not_moved_again(web, pack, fetch):
    bundle = pack(model=MODEL, late=b"late")
    uri = bundle.into(web, "churn")
    late = threading.Event()

    def answer(handler):
        if handler.path == "/churn/late" and not late.is_set():
            handler.send_response(503)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            web.give(handler, web.objects[handler.path])

    web.answer = answer
    with pytest.raises(Unreachable):
        fetch(uri, connections=1)  # one file after the other, so that those before the last are complete
    late.set()
    web.sent = 0
    done = fetch(uri)
    assert done.moved == web.sent == len(bundle.files["manifest.json"]) + len(b"late")


def test_files_that_another_manifest_listed_are_not_published(web, pack, fetch, tree):
    first, second = pack(old=b"old", model=MODEL), pack(new=b"new", model=MODEL)
    uri = first.into(web, "churn")
    late = "/churn/extra/notes.txt"
    web.answer = lambda handler: web.give(handler, web.objects[handler.path]) if handler.path != late else None
    with pytest.raises(Unreachable, match="notes"):
        fetch(uri)
    web.answer = lambda handler: web.give(handler, web.objects[handler.path])
    second.into(web, "churn")
    assert tree(fetch(uri).path) == second.files


def test_what_nobody_comes_back_for_goes_after_a_day(stopped, web, uri, fetch, root, monkeypatch):
    stopped(3)
    web.put("other.onnx", MODEL)
    broken(web)
    fetch(web.uri("other.onnx"))
    assert partial_file(root).exists()
    monkeypatch.setattr(workspace, "KEPT_FOR", -1)
    fetch(web.uri("other.onnx"))
    web.put("third.onnx", MODEL)
    fetch(web.uri("third.onnx"))
    assert not (root / STAGING).exists()


def test_folder_keeps_nothing_for_others(web, uri, fetch, root):
    broken(web, 3)
    with pytest.raises(Unreachable):
        fetch(uri, Folder(root))
    web.put("other.onnx", MODEL)
    broken(web)
    fetch(web.uri("other.onnx"), Folder(root))
    assert sorted(path.name for path in root.iterdir()) == ["manifest.json", "other.onnx"]


class TestKilled:
    """The program itself, with parts as large as they are."""

    @pytest.fixture
    def large(self, web):
        data = os.urandom(1 << 20) * 33
        web.put("m.onnx", data)
        return data

    @pytest.fixture
    def running(self, web, large, root):
        """A process that has most of the object and waits for the rest."""
        let_go, waiting = threading.Event(), threading.Event()
        real = 8 << 20

        def answer(handler):
            if f"bytes={real * 2}-" in handler.headers["Range"]:
                waiting.set()
                let_go.wait(300)
                handler.close_connection = True
                return
            web.give(handler, web.objects[handler.path])

        web.answer = answer
        command = [sys.executable, "-m", "model_fetcher", "--root", str(root), web.uri("m.onnx")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert waiting.wait(60)
            wait_for_parts(root, 0, 1, 3, 4)
            yield process
            let_go.set()
            process.kill()

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_next_run_goes_on(self, running, web, large, program, root, how):
        running.send_signal(how)
        assert running.wait(60) in {-signal.SIGKILL, 128 + how}
        web.answer = lambda handler: web.give(handler, web.objects[handler.path])
        web.sent = 0
        done = program("--root", root, web.uri("m.onnx"))
        assert done.returncode == 0, done.stderr
        assert verify(root / "m" / "1").path("m.onnx").read_bytes() == large
        assert web.sent == 8 << 20
        assert not (root / STAGING).exists()
