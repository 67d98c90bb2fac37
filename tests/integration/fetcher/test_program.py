"""`model-fetch` as a process: exit codes, last lines, termination messages, modes, kills, full disks, rivals."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_artifact.bundle import verify
from model_artifact.publish import STAGING

LARGE = os.urandom(1 << 20) * 8


def test_published_from_arguments(folder_store, pack, program, root):
    bundle = pack("churn", "3")
    done = program("--root", root, bundle.into(folder_store, "churn"), "--digest", bundle.digest)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["path"] == str(root / "churn" / "3")
    assert (result["digest"], result["already_there"]) == (bundle.digest, False)
    assert result["identity"].startswith("local user")
    assert all(json.loads(line)["message"] for line in done.stderr.splitlines())


def test_modes_let_the_group_read_and_nobody_else(folder_store, pack, program, root):
    program("--root", root, pack().into(folder_store, "churn"))
    for path in root.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640), path


def test_environment_alone_drives_it_and_replaces(folder_store, pack, program, root):
    bundles = [pack(model=b"old"), pack(model=b"new")]
    for bundle in bundles:
        environ = {"MODELPORT_FETCH_URI": bundle.into(folder_store, "churn"), "MODELPORT_FETCH_ROOT": str(root)}
        assert program(**environ, MODELPORT_FETCH_DIGEST=bundle.digest).returncode == 0
    assert verify(root / "churn" / "1").digest == bundles[1].digest


def test_typed_uri_replaces_only_when_forced(folder_store, pack, program, root):
    program("--root", root, pack(model=b"old").into(folder_store, "churn"))
    uri = pack(model=b"new").into(folder_store, "churn")
    refused = program("--root", root, uri)
    assert (refused.returncode, refused.stderr.splitlines()[-1].split(":")[0]) == (15, "RefusedByPolicy")
    assert program("--root", root, uri, "--force").returncode == 0


def test_pairs_fill_their_folders(folder_store, pack, program, tmp_path):
    first, second = pack("a").into(folder_store, "a"), pack("b").into(folder_store, "b")
    done = program(first, tmp_path / "x", second, tmp_path / "y")
    assert done.returncode == 0, done.stderr
    assert [verify(tmp_path / each).manifest.name for each in "xy"] == ["a", "b"]
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["a", "b"]


def test_versions_are_printed_for_people_and_for_programs(folder_store, pack, program):
    packed = [pack("churn", version) for version in ("9", "10")]
    for bundle, version in zip(packed, ("9", "10"), strict=True):
        bundle.into(folder_store, f"churn/{version}")
    table = program("versions", folder_store.uri("churn")).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["VERSION", "9", "10"]
    assert packed[1].digest in table[2]
    rows = json.loads(program("versions", folder_store.uri("churn"), "--json").stdout)
    assert [(row["version"], row["digest"]) for row in rows] == [("9", packed[0].digest), ("10", packed[1].digest)]
    assert set(rows[0]) == {"version", "name", "digest", "created", "size", "formats", "uri"}
    assert program("versions", folder_store.uri("nothing")).returncode == 11


def test_cache_and_patterns_are_set_by_the_environment(web, folder_store, program, tmp_path):
    web.put("m.onnx", LARGE)
    environ = {"MODELPORT_FETCH_CACHE": str(tmp_path / "cache"), "MODELPORT_FETCH_CACHE_SIZE": "1Gi"}
    for pod in ("a", "b"):
        done = program("--root", tmp_path / pod, web.uri("m.onnx"), **environ)
    assert json.loads(done.stdout)["moved"] == 0
    assert web.sent == len(LARGE)
    for name in ("a.onnx", "b.onnx"):
        folder_store.put(f"two/{name}", b"x")
    done = program("--root", tmp_path / "c", folder_store.uri("two"), MODELPORT_FETCH_ALLOW_PATTERNS="a.*")
    assert done.returncode == 0, done.stderr


def test_several_artifacts_of_several_schemes_in_one_run(web, s3, emulated, folder_store, pack, program, tmp_path):
    places = []
    for store in (web, s3, emulated, folder_store):
        bundle = pack(f"m{len(places)}", model=os.urandom(1000))
        places += [bundle.into(store, "several"), tmp_path / f"{len(places)}"]
    done = program(*places)
    assert done.returncode == 0, done.stderr
    assert [verify(place).manifest.name for place in places[1::2]] == ["m0", "m2", "m4", "m6"]


def status(code):
    def fault(handler, _):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return fault


@pytest.mark.parametrize(
    ("code", "reason", "argv", "faults"),
    [
        (2, "Usage", ["--sha256", "x"], []),
        (10, "AccessDenied", [], [status(403)]),
        (11, "NotFound", [], [status(404)]),
        (12, "Unreachable", ["--retry-budget", "0.2"], [status(503)] * 9),
        (14, "ChecksumMismatch", ["--sha256", "0" * 64], []),
        (15, "RefusedByPolicy", ["--require-pinned"], []),
    ],
)
def test_exit_code_last_line_and_termination_message_agree(web, program, root, tmp_path, code, reason, argv, faults):
    web.put("m.onnx", b"x")
    web.faults = faults
    log = tmp_path / "termination-log"
    uri = web.uri("m.onnx").replace("://", "://me:secret@")
    done = program("--root", root, f"{uri}?sig=secret", *argv, MODELPORT_FETCH_TERMINATION_MESSAGE_PATH=str(log))
    message = json.loads(log.read_text())
    assert (done.returncode, message["reason"]) == (code, reason)
    assert set(message) == {"reason", "uri", "identity", "message"}
    assert done.stderr.splitlines()[-1].startswith(f"{reason}: ")
    assert message["message"] in done.stderr.splitlines()[-1]
    assert "secret" not in done.stderr + done.stdout + log.read_text()
    assert "Traceback" not in done.stderr
    assert not list(root.rglob("*"))


def test_unknown_setting_is_told_to_kubernetes_too(program, tmp_path):
    log = tmp_path / "log"
    done = program(MODELPORT_FETCH_URL="x", MODELPORT_FETCH_TERMINATION_MESSAGE_PATH=str(log))
    assert done.returncode == 2
    assert "the nearest is MODELPORT_FETCH_URI" in json.loads(log.read_text())["message"]


def test_memory_does_not_grow_with_the_model(folder_store, root):
    size, limit_kib = 400 << 20, 150 << 10
    folder_store.put("m.onnx", b"")
    os.truncate(folder_store.root / "m.onnx", size)
    argv = ["--root", str(root), folder_store.uri("m.onnx")]
    code = (
        f"from model_fetcher.__main__ import main; code = main({argv!r}); "
        "peak = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]; "
        "print(code, *peak)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0
    assert (root / "m" / "1" / "m.onnx").stat().st_size == size
    assert peak < limit_kib


def test_full_disk(folder_store, program, root):
    folder_store.put("m.onnx", LARGE)
    command = [sys.executable, "-m", "model_fetcher", "--root", str(root), folder_store.uri("m.onnx")]
    limit = len(LARGE) // 2
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 13, done.stderr
    assert done.stderr.splitlines()[-1].startswith("DiskFull: cannot write")
    assert not list(root.rglob("*"))


class Gate:
    """A download that stops halfway until it is let go on."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()
        self.reached.set()
        self.open.wait(300)
        try:
            handler.wfile.write(data[len(data) // 2 :])
        except OSError:
            handler.close_connection = True


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def halfway(web, gate, root):
    """A process in the middle of its download."""
    web.put("m.onnx", LARGE)
    web.faults = [gate]
    options = ["--root", str(root), "--read-timeout", "300"]
    command = [sys.executable, "-m", "model_fetcher", *options, web.uri("m.onnx")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert gate.reached.wait(60)
        yield process
        process.kill()


def test_killed_halfway_leaves_nothing_published_and_the_next_run_cleans_up(halfway, program, web, root, tree):
    halfway.kill()
    halfway.wait(60)
    assert [path.name for path in root.iterdir()] == [STAGING]
    assert program("--root", root, web.uri("m.onnx")).returncode == 0
    assert sorted(tree(root)) == ["m/1/m.onnx", "m/1/manifest.json"]
    assert not (root / STAGING).exists()
    assert verify(root / "m" / "1").path("m.onnx").read_bytes() == LARGE


def test_terminated_halfway_cleans_up_itself(halfway, root):
    halfway.send_signal(signal.SIGTERM)
    assert halfway.wait(60) == 128 + signal.SIGTERM
    assert list(root.iterdir()) == []


def test_interrupted_halfway_cleans_up_without_a_stack_trace(halfway, root):
    halfway.send_signal(signal.SIGINT)
    assert halfway.wait(60) == 128 + signal.SIGINT
    assert "Traceback" not in halfway.stderr.read()
    assert list(root.iterdir()) == []


def test_a_rival_run_leaves_a_living_one_alone(halfway, gate, program, web, root, tree):
    rival = program("--root", root, web.uri("m.onnx"))
    assert rival.returncode == 0, rival.stderr
    gate.open.set()
    assert halfway.wait(60) == 0
    assert json.loads(halfway.stdout.read())["already_there"] is True
    assert sorted(tree(root)) == ["m/1/m.onnx", "m/1/manifest.json"]


@pytest.mark.parametrize("filling", [False, True])
def test_many_runs_at_once_all_succeed(folder_store, pack, root, tree, filling):
    bundle = pack(model=LARGE)
    uri = bundle.into(folder_store, "churn")
    argv = [uri, str(root)] if filling else ["--root", str(root), uri]
    command = [sys.executable, "-m", "model_fetcher", *argv]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    outputs = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0] * 5, outputs
    folder = root if filling else root / "churn" / "1"
    assert tree(root) == {f"{folder.relative_to(root) / path}": data for path, data in bundle.files.items()}


def test_nothing_of_a_model_library_is_imported(folder_store, pack, root):
    uri = pack().into(folder_store, "churn")
    code = (
        "import sys; from model_fetcher.__main__ import main; "
        f"main(['--root', {str(root)!r}, {uri!r}]); "
        "sys.exit(' '.join({'numpy', 'joblib', 'google', 'botocore', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_exit_code(program):
    text = " ".join(program("--help").stdout.split())
    assert "2 usage, 10 access denied, 11 not found, 12 unreachable, 13 disk full, 14 checksum mismatch, 15" in text
    assert Path(sys.executable).with_name("model-fetch").exists()
