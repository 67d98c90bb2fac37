import json

from modelport.cli.measure import MEBIBYTE, Measurement, Resources, advise


def section(text, title):
    return text.split(f"\n{title}\n")[1].split("\n\n")[0]


def test_everything_that_the_manifest_says(run, bundle):
    text = run("inspect", bundle.directory, "--no-measure").output
    for expected in ("churn", "2026-01-02T03:04:05Z", bundle.digest, "scikit-learn", "ada"):
        assert expected in text
    assert "model.joblib" in section(text, "Files")
    assert "onnx    float64    150            2.0e-16        100.00%" in section(text, "Formats")
    assert section(text, "Task").endswith("-> prediction: int64, probabilities: float64[2]")
    features = section(text, "Features").splitlines()
    assert features[2].split() == ["age", "int64", ">=", "18,", "<", "120", "no", "35", "years"]
    assert "a | b | c | d | e | f | 2 more" in features[3]
    assert features[4].split() == ["price", "float64", "any", "no", "=", "age", "*", "2"]
    assert section(text, "Classes").splitlines()[-1].split() == ["1", "leaves"]
    assert "the price is above the age" in section(text, "Rules")
    assert "Measured" not in text


def test_a_bundle_that_says_little(run, make_bundle, tmp_path):
    bundle = make_bundle(tmp_path / "b", signature=None, framework=None, golden=None, metadata={})
    text = run("inspect", bundle.directory, "--no-measure").output
    assert "not known: a bare file does not carry one" in section(text, "Signature")
    assert "fitted with" not in text


def test_json_holds_the_whole_manifest(run, bundle):
    document = json.loads(run("inspect", bundle.directory, "--no-measure", "--json").output)
    assert document["digest"] == bundle.digest
    assert document["manifest"]["signature"]["inputs"][0]["ge"] == 18
    assert document["golden_rows"] == 1
    assert document["measured"] == []
    assert document["resources"] is None


def test_a_format_that_cannot_be_loaded_says_why_and_pickles_are_left_alone(run, bundle):
    document = json.loads(run("inspect", bundle.directory, "--json").output)
    onnx, joblib = document["measured"]
    assert onnx["peak_rss_bytes"] is None
    assert "model.onnx" in onnx["note"]
    assert "--allow-pickle" in joblib["note"]
    assert document["resources"] is None


def test_advice_grows_with_workers_and_is_rounded_up():
    measured = [Measurement("onnx", 0.1, 0.001, 100 * MEBIBYTE), Measurement("joblib", 1.0, 0.01, 400 * MEBIBYTE)]
    assert advise(measured, 1) == Resources(1, "256Mi", "384Mi", "1")
    assert advise(measured, 4) == Resources(4, "640Mi", "960Mi", "4")


def test_no_advice_without_a_measurement():
    assert advise([Measurement("onnx", note="no runtime")], 2) is None
