import errno

import pytest
from click.testing import CliRunner

from modelport.cli import main


def test_a_whole_bundle(run, bundle):
    result = run("verify", bundle.directory, "--digest", bundle.digest)
    assert result.exit_code == 0
    assert result.output.startswith("OK churn 3: 3 files, ")
    assert result.output.rstrip().endswith(bundle.digest)


def test_another_digest_than_expected(run, bundle):
    result = run("verify", bundle.directory, "--digest", f"sha256:{'0' * 64}")
    assert result.exit_code == 14
    assert result.stdout == ""
    assert f"expected sha256:{'0' * 64}, found {bundle.digest}" in result.stderr


def test_a_changed_byte(run, bundle):
    bundle.path("model.onnx").write_bytes(b"onnX")
    result = run("verify", bundle.directory)
    assert result.exit_code == 14
    assert "model.onnx: expected sha256" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_not_a_bundle(run, tmp_path):
    result = run("verify", tmp_path)
    assert result.exit_code == 1
    assert f"Error: {tmp_path} is not a bundle" in result.stderr


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "model.onnx"), "model.onnx: Permission denied"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("the disk is on fire"), "the disk is on fire"),
    ],
)
def test_what_the_disk_says_is_one_sentence(run, bundle, monkeypatch, raised, sentence):
    def fail(*_):
        raise raised

    monkeypatch.setattr("modelport.cli.verify.verify", fail)
    result = run("verify", bundle.directory)
    assert (result.exit_code, result.stderr) == (1, f"Error: {sentence}\n")


def test_a_closed_pipe_is_not_an_error_of_ours(bundle, monkeypatch):
    def fail(*_):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("modelport.cli.verify.verify", fail)
    result = CliRunner().invoke(main, ["verify", str(bundle.directory)])
    assert result.exit_code == 1
    assert "Error" not in result.stderr


def test_a_defect_shows_its_traceback(bundle, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("modelport.cli.verify.verify", fail)
    assert isinstance(CliRunner().invoke(main, ["verify", str(bundle.directory)]).exception, ZeroDivisionError)
