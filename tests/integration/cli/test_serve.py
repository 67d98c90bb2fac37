import hashlib
import signal

import numpy as np
import pytest

from model_artifact.bundle import open_bundle
from modelport import ApiError

PICKLE_THAT_RUNS = b"cos\nsystem\n(S'touch ran'\ntR."


def test_from_packed_model_to_answers(packing, iris, serving):
    root, _ = packing
    features, model = iris
    with serving(root, "--workers", "2") as (client, under_way):
        health = client.health()
        assert (health.status, health.models[0].digest) == ("ok", open_bundle(root / "iris" / "7").digest)
        answer = client.predict(features.iloc[[60]])
        assert answer.prediction == model.predict(features.iloc[[60]])[0]
        assert answer.prediction_class == "versicolor"
        assert answer.probability == answer.probabilities["versicolor"]
        assert client.predict(features.iloc[60]).probabilities == answer.probabilities
        batch = client.predict_batch(features)
        assert [item.prediction for item in batch] == model.predict(features).tolist()
        scores = [list(item.probabilities.values()) for item in batch]
        np.testing.assert_allclose(scores, model.predict_proba(features), atol=1e-5)
        assert client.predict(features.iloc[[0]], model="iris", version="7").model_version == "7"
        with pytest.raises(ApiError, match="row 120") as caught:
            client.predict_batch([*features.to_numpy()[:120], ["long", 1, 2, 3]])
        assert caught.value.detail[0]["field"] == "sepal length (cm)"
        assert under_way.end() == 0
    assert f"{root} is yours, so it is trusted" in under_way.log


def test_a_bare_file_is_trusted_and_nothing_is_left_behind(files, iris, serving, tmp_path):
    features, _ = iris
    with serving(files / "iris.joblib", "--name", "flowers", "--model-version", "2") as (client, under_way):
        answer = client.predict(features.iloc[[149]])
        assert (answer.prediction, answer.model_name, answer.model_version) == (2, "flowers", "2")
        assert list(tmp_path.glob("modelport-*"))
        assert under_way.end(signal.SIGINT) == 0
    assert list(tmp_path.glob("modelport-*")) == []


@pytest.mark.parametrize("where", ["iris", "iris/7"])
def test_parts_of_a_root_are_served_in_place(packing, serving, tmp_path, where):
    with serving(packing[0] / where, MODELPORT_MODEL_NAME="another") as (client, _):
        assert client.health().models[0].version == "7"
        assert list(tmp_path.glob("modelport-*")) == []


def test_a_uri_is_not_trusted(modelport, tmp_path):
    (tmp_path / "evil.joblib").write_bytes(PICKLE_THAT_RUNS)
    done = modelport("serve", f"file://{tmp_path}/evil.joblib", "--port", "0", MODELPORT_ALLOW_PICKLE="true")
    assert done.returncode == 3
    assert "is not trusted: pickles are refused; pin it with" in done.stderr
    assert "Pin it" in done.stdout.splitlines()[-1]
    assert not (tmp_path / "ran").exists()


def test_a_pinned_uri_is_what_its_pin_says(files, serving, tmp_path):
    source, pin = files / "iris.joblib", hashlib.sha256((files / "iris.joblib").read_bytes()).hexdigest()
    with serving(f"file://{source}", "--sha256", pin, "--root", tmp_path / "kept") as (client, under_way):
        assert client.health().ready
    assert "is what you pinned" in under_way.log
    assert (tmp_path / "kept" / "iris" / "1" / "manifest.json").is_file()


def test_a_pin_that_does_not_match(packing, modelport):
    done = modelport("serve", f"file://{packing[0]}/iris/7", "--digest", f"sha256:{'0' * 64}")
    assert done.returncode == 14
    assert "Traceback" not in done.stderr


def test_a_model_that_can_never_be_served(packing, modelport):
    done = modelport("serve", packing[0], "--port", "0", "--model-version", "8")
    assert done.returncode == 3
    assert "version 8" in done.stdout.splitlines()[-1]


def test_fetch(packing, modelport, tmp_path):
    digest = open_bundle(packing[0] / "iris" / "7").digest
    done = modelport("fetch", packing[0] / "iris", "copy", "--digest", digest)
    assert done.returncode == 0
    assert open_bundle(tmp_path / "copy" / "iris" / "7").digest == digest
    assert modelport("verify", "copy/iris/7", "--digest", digest).returncode == 0
    assert modelport("fetch", tmp_path / "nope", "copy").returncode == 11
    assert modelport("fetch", packing[0] / "iris", "other", "--require-pinned").returncode == 15
