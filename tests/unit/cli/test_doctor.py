import socket
from pathlib import Path

import pytest

from model_artifact.manifest import Format, Framework
from modelport.cli.checks import CHECKS, Context, Finding, bundle, machine, packages, settings
from modelport.cli.checks.finding import Setting

NOTHING = Context({}, None, None)
DEFAULTS = {
    "MODELPORT_API_HOST": Setting("127.0.0.1", "default"),
    "MODELPORT_API_PORT": Setting("0", "default"),
    "MODELPORT_WORKERS": Setting("1", "default"),
    "MODELPORT_MODEL_ROOT": Setting("/nowhere/at/all", "default"),
    "MODELPORT_CONFIG_FILE": Setting("config.yaml", "default"),
}


def context(**changes):
    return Context(DEFAULTS | {f"MODELPORT_{name}": value for name, value in changes.items()}, None, None)


def line(output, subject):
    return next(text for text in output.splitlines() if text[6:].startswith(subject))


def test_a_healthy_environment(run, bundle, monkeypatch):
    monkeypatch.setenv("MODELPORT_API_PORT", "0")
    result = run("doctor", bundle.directory)
    assert (result.exit_code, result.stderr) == (0, "")
    for subject in ("Python", "scikit-learn", "onnxruntime", "extra gcs", "CPUs", "memory", "settings", "port"):
        assert line(result.output, subject).startswith("ok")
    assert bundle.digest in line(result.output, "bundle")
    assert "1 set by environment" in line(result.output, "settings")


def test_what_fails_is_counted_and_says_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELPORT_MODEL_ROOT", "/nowhere/at/all")
    result = run("doctor", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == "\n2 failed\n"
    assert line(result.output, "model root").startswith("fail")
    assert "-> set MODELPORT_MODEL_ROOT" in line(result.output, "model root")
    assert "is not a bundle" in line(result.output, "bundle")


def test_a_bad_setting_is_told_in_the_services_own_words(run, monkeypatch):
    monkeypatch.setenv("MODELPORT_API_PORT", "hello")
    result = run("doctor")
    assert result.exit_code == 1
    assert "MODELPORT_API_PORT" in line(result.output, "settings")
    assert "hello" in line(result.output, "settings")
    assert not any(text[6:].startswith(("port", "model root")) for text in result.output.splitlines())


def test_files_of_settings_are_named(tmp_path):
    (tmp_path / ".env").write_text("MODELPORT_WORKERS=2\n")
    found = {finding.subject: finding.found for finding in settings.configuration(Context.read(None))}
    assert found == {"settings": "1 set by .env", "config.yaml": "not there (optional)", ".env": "found"}


def test_a_busy_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = str(listening.getsockname()[1])
        [finding] = settings.port(context(API_PORT=Setting(number, "environment")))
    assert finding.status == "fail"
    assert number in finding.found
    assert "MODELPORT_API_PORT" in finding.advice


@pytest.mark.parametrize(
    ("root", "origin", "status"),
    [
        ("/nowhere", "default", "warn"),
        ("/nowhere", ".env", "fail"),
        ("/etc/hosts", ".env", "fail"),
        ("/", ".env", "ok"),
    ],
)
def test_model_root(root, origin, status):
    [finding] = settings.model_root(context(MODEL_ROOT=Setting(root, origin)))
    assert finding.status == status


def test_nothing_is_said_of_settings_that_could_not_be_read():
    refused = Context({}, "unknown setting", None)
    assert list(settings.port(refused)) == list(settings.model_root(refused)) == []


def test_more_workers_than_cpus():
    assert [finding.status for finding in machine.cpus(context(WORKERS=Setting("100000", ".env")))] == ["warn"]
    assert [finding.status for finding in machine.cpus(NOTHING)] == ["ok"]


def test_little_memory(monkeypatch):
    monkeypatch.setattr(machine, "LEAST_MEMORY", 1 << 60)
    [finding] = machine.memory(NOTHING)
    assert (finding.status, finding.advice[:7]) == ("warn", "give it")


def test_no_tmpfs(monkeypatch):
    monkeypatch.setattr(machine, "HEARTBEAT", Path("/nowhere"))
    assert [finding.status for finding in machine.heartbeat(NOTHING)] == ["fail"]
    monkeypatch.setattr("sys.platform", "darwin")
    assert list(machine.heartbeat(NOTHING)) == []


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_cpu_limit(tmp_path, files, limit):
    write(tmp_path, files)
    assert machine.cpu_limit(tmp_path) == limit


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": "536870912\n"}, 512 << 20),
        ({"memory/memory.limit_in_bytes": "1048576\n"}, 1 << 20),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_memory_limit(tmp_path, files, limit):
    write(tmp_path, files)
    assert machine.memory_limit(tmp_path) == limit


def test_limits_of_a_container_count(monkeypatch):
    monkeypatch.setattr(machine, "cpu_limit", lambda: 0.5)
    monkeypatch.setattr(machine, "memory_limit", lambda: 1 << 20)
    [cpus] = machine.cpus(context())
    assert (cpus.status, "limited to 0.5" in cpus.found) == ("warn", True)
    [memory] = machine.memory(NOTHING)
    assert (memory.status, memory.found) == ("warn", "1.0 MiB (limit of the container)")


REQUIRES = ["click>=8.2", "numpy>=99", "no-such-package>=1.5", "odd", 'uvloop>=0.1; sys_platform != "win32"',
            'no-such-cloud>=3; extra == "cloud"', 'click>=8; extra == "shell"']  # fmt: skip


def test_packages_missing_or_old(monkeypatch):
    monkeypatch.setattr(packages, "requires", lambda _: REQUIRES)
    found = {finding.subject: (finding.status, finding.advice) for finding in packages.required(NOTHING)}
    assert found == {
        "click": ("ok", ""),
        "numpy": ("fail", "pip install -U 'numpy>=99'"),
        "no-such-package": ("fail", "pip install 'no-such-package>=1.5'"),
        "odd": ("fail", "pip install 'odd>=0'"),
        "uvloop": ("ok", ""),
    }


def test_a_missing_extra_names_its_install_command(monkeypatch):
    monkeypatch.setattr(packages, "requires", lambda _: ['no-such-cloud>=3; extra == "gcs"'])
    finding = next(found for found in packages.extras(NOTHING) if found.subject == "extra gcs")
    assert (finding.status, "pip install 'modelport[gcs]'" in finding.found) == ("ok", True)


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(packages, "OLDEST_PYTHON", (4, 0))
    assert next(packages.python(NOTHING)).advice == "install Python 4.0 or later"


OLD = Framework("scikit-learn", "0.1.0", "3.11.0", {})


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, "ok", "fits"),
        ({"framework": None}, "warn", "does not say"),
        ({"framework": OLD}, "ok", "which ONNX does not mind"),
        ({"framework": OLD, "formats": (Format("joblib", "model.joblib"),)}, "fail", "fitted with scikit-learn 0.1.0"),
    ],
)
def test_framework_of_a_bundle(make_bundle, tmp_path, changes, status, words):
    made = make_bundle(tmp_path / "b", **changes)
    whole, framework = bundle.whole(Context({}, None, made.directory))
    assert whole.status == "ok"
    assert (framework.status, words in framework.found) == (status, True)
    assert framework.status != "fail" or "sklearn0.1" in framework.advice


def test_checks_are_functions_that_yield_findings():
    assert all(isinstance(finding, Finding) for check in CHECKS for finding in check(context()))
