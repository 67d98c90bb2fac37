"""What holds for every scheme that can be written."""

import json

import pytest


def test_a_bundle_arrives_whole_and_what_to_deploy_is_printed(place, make, run):
    made = make("3")
    result = run("push", made.path, place.uri)
    assert result.exit_code == 0, result.output
    assert place.tree() == made.below("churn/3")
    assert f"modelport fetch {place.uri}/churn/3 models --digest {made.digest}" in result.stdout


def test_again_is_a_success_that_sends_nothing(place, make, run):
    made = make()
    run("push", made.path, place.uri)
    again = run("push", made.path, place.uri, "--json")
    assert again.exit_code == 0
    told = json.loads(again.stdout)
    assert (told["already_there"], told["sent"], told["digest"]) == (True, 0, made.digest)


@pytest.mark.parametrize("tail", ["", "/", "/churn", "/churn/", "/churn/3"])
def test_a_root_that_names_the_model_already_is_understood(place, make, run, tail):
    made = make("3")
    assert run("push", made.path, place.uri + tail).exit_code == 0
    assert set(place.tree()) == set(made.below("churn/3"))


def test_a_version_that_exists_is_not_changed(place, make, run):
    first, second = make(model=b"first"), make(model=b"second")
    run("push", first.path, place.uri)
    result = run("push", second.path, place.uri)
    assert result.exit_code == 15
    assert first.digest in result.stderr
    assert second.digest in result.stderr
    assert "pack under a new --version" in result.stderr
    assert place.tree() == first.below("churn/1")


def test_overwriting_is_explicit_and_leaves_nothing_of_the_old(place, make, run):
    run("push", make(model=b"first", **{"old.txt": b"old"}).path, place.uri)
    second = make(model=b"second", **{"new.txt": b"new"})
    assert run("push", second.path, place.uri, "--overwrite").exit_code == 0
    assert place.tree() == second.below("churn/1")


def test_a_damaged_bundle_is_not_sent(place, make, run):
    made = make()
    (made.path / "model.joblib").write_bytes(b"MODEL")
    result = run("push", made.path, place.uri)
    assert result.exit_code == 14
    assert "model.joblib" in result.stderr
    assert place.tree() == {}


def test_what_is_no_bundle_is_told(place, run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("push", tmp_path / "empty", place.uri)
    assert result.exit_code == 1
    assert "is not a bundle" in result.stderr


def test_signatures_go_along(place, make, run):
    made = make()
    (made.path / "manifest.json.sig").write_bytes(b"signed")
    assert run("push", made.path, place.uri).exit_code == 0
    assert place.tree() == made.below("churn/1") | {"churn/1/manifest.json.sig": b"signed"}


def test_files_that_went_missing_are_sent_again(place, make, run):
    made = make()
    for key, data in made.below("churn/1").items():
        if not key.endswith("extra/model.joblib"):
            place.put(key, data)
    assert run("push", made.path, place.uri).exit_code == 0
    assert place.tree() == made.below("churn/1")


def test_what_others_copied_there_is_recognised(place, make, run):
    made = make()
    for key, data in made.below("churn/1").items():
        place.put(key, data)
    result = run("push", made.path, place.uri)
    assert result.exit_code == 0
    assert "there already" in result.stdout


def test_a_bare_file_becomes_a_bundle(place, run, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"graph")
    result = run("push", tmp_path / "model.onnx", place.uri, "--name", "churn", "--version", "7")
    assert result.exit_code == 0, result.output
    assert place.tree()["churn/7/model.onnx"] == b"graph"
    assert json.loads(place.tree()["churn/7/manifest.json"])["origin"] == "fetched"
