import json
import shutil

from click.testing import CliRunner

from model_artifact.bundle import open_bundle
from modelport.cli import main


def test_packing_tells_its_progress_and_sums_up(packing):
    root, said = packing
    assert said.returncode == 0, said.stderr
    bundle = open_bundle(root / "iris" / "7")
    assert bundle.digest in said.stdout
    assert bundle.manifest.metadata["author"] == "ada"
    assert bundle.manifest.signature.labels == ("setosa", "versicolor", "virginica")
    assert any(line.startswith("... onnx") for line in said.stderr.splitlines())


def test_another_model_does_not_take_a_published_place(packing, files, tmp_path):
    root = tmp_path / "models"
    shutil.copytree(packing[0], root)
    arguments = ["pack", files / "iris.joblib", "--sample", files / "iris.csv", "--name", "iris", "--version", "7"]
    command = [*map(str, arguments), "-o", str(root), "--format", "joblib"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    assert "exists with other content" in refused.stderr.splitlines()[-1]
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 0
    assert [item.kind for item in open_bundle(root / "iris" / "7").manifest.formats] == ["joblib"]


def test_inspect_measures_and_advises(packing, modelport):
    root, _ = packing
    done = modelport("inspect", root / "iris" / "7", "--json", "--workers", "2")
    onnx, joblib = json.loads(done.stdout)["measured"]
    assert 0 < onnx["single_row_seconds"] < 1
    assert onnx["load_seconds"] > 0
    assert 20 << 20 < onnx["peak_rss_bytes"] < 1 << 30
    assert joblib["peak_rss_bytes"] is None
    resources = json.loads(done.stdout)["resources"]
    assert (resources["workers"], resources["cpu_request"]) == (2, "2")
    assert 2 * onnx["peak_rss_bytes"] < int(resources["memory_request"].removesuffix("Mi")) << 20
    text = modelport("inspect", root / "iris" / "7", "--workers", "2").stdout
    assert "for a pod of 2 workers" in text
    assert "requests.memory" in text
    assert "ms" in text.split("\nMeasured\n")[1].split("\n")[2]


def test_inspect_a_bare_file(files, modelport):
    careful = json.loads(modelport("inspect", files / "iris.joblib", "--json").stdout)
    assert careful["manifest"]["origin"] == "fetched"
    assert careful["resources"] is None
    trusting = json.loads(modelport("inspect", files / "iris.joblib", "--json", "--allow-pickle").stdout)
    assert trusting["measured"][0]["peak_rss_bytes"] > 20 << 20


def test_inspect_does_not_run_what_is_in_a_pickle(modelport, tmp_path):
    (tmp_path / "evil.joblib").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    assert modelport("inspect", tmp_path / "evil.joblib").returncode == 0
    assert not (tmp_path / "ran").exists()


def test_inspect_what_is_no_model(modelport, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    done = modelport("inspect", "notes.txt")
    assert done.returncode == 11
    assert "Traceback" not in done.stderr
    assert "notes.txt" in done.stderr
