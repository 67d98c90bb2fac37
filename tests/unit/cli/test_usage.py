import pytest

PACK = ("pack", "model.joblib", "--sample", "sample.csv", "--name", "churn", "-o", "models")


@pytest.fixture(autouse=True)
def files(tmp_path):
    (tmp_path / "model.joblib").write_bytes(b"not a model")
    (tmp_path / "sample.csv").write_text("a,b\n1,2\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pack", "nope.joblib", *PACK[2:]), "'nope.joblib' does not exist"),
        (PACK[:4], "Missing option"),
        ((*PACK, "--label", "leaves"), "'leaves' must look like key=value"),
        ((*PACK, "--metadata", "=x"), "'=x' must look like key=value"),
        ((*PACK, "--format", "pmml"), "'pmml' is not one of 'onnx', 'joblib', 'skops'"),
        (("serve", "models", "--port", "70000"), "70000 is not in the range"),
        (("serve", "models", "--workers", "0"), "0 is not in the range"),
        (("inspect", "nope"), "'nope' does not exist"),
        (("fetch", "gs://b/m"), "Missing argument 'DEST'"),
    ],
)
def test_usage_errors(run, arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_nothing_to_serve(run, tmp_path):
    result = run("serve", "nope")
    assert (result.exit_code, result.stderr) == (1, "Error: nope: no such file or folder\n")


def test_a_file_that_is_no_model(run):
    result = run(*PACK)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: model.joblib cannot be read")
    assert len(result.stderr.splitlines()) == 1


def test_settings(run, capfd, monkeypatch):
    monkeypatch.setenv("MODELPORT_API_PORT", "9000")
    assert run("settings").exit_code == 0
    assert "9000" in capfd.readouterr().out
    monkeypatch.setenv("MODELPORT_API_PORT", "hello")
    assert run("settings", "--json").exit_code == 2
    assert "MODELPORT_API_PORT" in capfd.readouterr().err
