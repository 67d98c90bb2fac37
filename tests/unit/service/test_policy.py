"""What may be loaded: policy belongs to whoever runs the service, never to the artifact."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from support.bundles import IRIS_NAMES, Packed, iris_signature, onnx_bytes

from model_artifact.manifest import Framework
from model_artifact.samples import Answer, Golden
from model_artifact.signature import Feature, Signature
from model_service import runtimes
from model_service.app import create_app
from model_service.errors import LoadFailed
from model_service.settings import Settings

ROW = [5.1, 3.5, 1.4, 0.2]


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.witness,))


def refusal(packed: Packed, **settings: Any) -> str:
    app = create_app(Settings(model_root=packed.root, **settings))
    with pytest.raises(LoadFailed) as refused, TestClient(app):
        pass
    body = app.state.registry.states()[0]
    assert (body["state"], body["reason"]) == ("failed", str(refused.value))
    return str(refused.value)


def test_a_malicious_pickle_does_not_run(write_bundle: Any, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    packed = write_bundle({"joblib": pickle.dumps(Malicious(witness))}, metadata={"trusted": True})
    sentence = refusal(packed)
    assert not witness.exists()
    assert "MODELPORT_MODEL_DIGEST" in sentence
    assert "MODELPORT_ALLOW_PICKLE" in sentence
    with pytest.raises(LoadFailed), TestClient(create_app(Settings(model_root=packed.root, allow_pickle=True))):
        pass
    assert witness.exists()  # the pickle is live: only the policy held it back


def test_a_wrong_pin_is_refused_before_the_pickle_is_opened(write_bundle: Any, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    packed = write_bundle({"joblib": pickle.dumps(Malicious(witness))})
    wrong = "sha256:" + "0" * 64
    assert packed.digest in refusal(packed, model_digest=wrong)
    assert "MODELPORT_MODEL_SHA256" in refusal(packed, model_sha256=wrong)
    assert not witness.exists()


def test_a_pin_from_the_runner_allows_the_pickle_it_covers(write_bundle: Any, serve: Any, iris: Any) -> None:
    packed = write_bundle({"joblib": iris})
    sha256 = packed.manifest.files[0].sha256
    for pin in ({"model_digest": packed.digest}, {"model_sha256": sha256}):
        client = serve(packed, require_pinned=True, **pin)
        assert client.post("/predict", json={"features": ROW}).json()["prediction"] == 0


def test_versions_beside_the_default_have_pins_of_their_own(write_bundle: Any, serve: Any, iris: Any) -> None:
    hooks = "def preprocess(rows):\n    return rows\n"
    other = clone(iris).set_params(C=0.5).fit([[0.0] * 4, [1.0] * 4, [2.0] * 4], [0, 1, 2])
    packed = [write_bundle({"joblib": model}, version=version) for version, model in (("1", iris), ("2", other))]
    hooked = write_bundle({"joblib": iris}, version="3", hooks=hooks)
    write_bundle({"joblib": iris}, version="4")
    file = packed[1].manifest.files[0].sha256
    pins = {"model_version": "1", "model_digest": packed[0].digest, "version_digests": (file, hooked.digest)}
    client = serve(packed[0], require_pinned=True, **pins)
    answers = [client.post(f"/predict?version={version}", json={"features": ROW}) for version in (1, 2, 3, 4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
    assert "MODELPORT_REQUIRE_PINNED" in answers[-1].json()["message"]


def test_require_pinned_refuses_even_onnx_without_a_pin(iris_bundle: Packed, serve: Any) -> None:
    assert "MODELPORT_REQUIRE_PINNED" in refusal(iris_bundle, require_pinned=True)
    assert serve(iris_bundle, require_pinned=True, model_digest=iris_bundle.digest).get("/health").status_code == 200


def test_skops_loads_known_types_and_refuses_others_unless_trusted(write_bundle: Any, serve: Any, iris: Any) -> None:
    safe = write_bundle({"skops": iris})
    assert serve(safe).post("/predict", json={"features": ROW}).json()["prediction_class"] == "setosa"
    custom = make_pipeline(FunctionTransformer(halve), iris)
    packed = write_bundle({"skops": custom}, name="custom")
    assert "halve" in refusal(packed, model_name="custom")
    client = serve(packed, model_name="custom", allow_pickle=True)
    assert client.post("/predict", json={"features": ROW}).status_code == 200


def halve(values: Any) -> Any:
    return values / 2


@pytest.mark.parametrize(
    ("framework", "said"),
    [
        (Framework("scikit-learn", "0.24.2", "3.8.0"), "0.24.2"),
        (Framework("scikit-learn", "99.1.0", "3.11.0"), "sklearn99.1"),
    ],
)
def test_versions_are_compared_before_unpickling(
    write_bundle: Any, tmp_path: Path, framework: Framework, said: str
) -> None:
    witness = tmp_path / "ran"
    packed = write_bundle({"joblib": pickle.dumps(Malicious(witness))}, framework=framework)
    assert said in refusal(packed, allow_pickle=True)
    assert not witness.exists()


def test_versions_do_not_matter_to_onnx(write_bundle: Any, serve: Any, iris: Any) -> None:
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, framework=Framework("scikit-learn", "0.24.2", "3.8.0"))
    assert serve(packed).get("/health").status_code == 200


def test_a_changed_byte_is_refused(iris_bundle: Packed) -> None:
    model = iris_bundle.directory / "model.onnx"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.write_bytes(content)
    assert "model.onnx: expected sha256" in refusal(iris_bundle)


def test_a_golden_row_answered_wrong_is_refused(write_bundle: Any, iris: Any) -> None:
    label = Golden((ROW,), (Answer(2),))
    assert "expected 2, got 0" in refusal(write_bundle({"onnx": onnx_bytes(iris, 4)}, golden=label))
    score = Golden((ROW,), (Answer(0, (0.1, 0.2, 0.7)),))
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, name="scores", golden=score)
    assert "expected probabilities (0.1, 0.2, 0.7)" in refusal(packed, model_name="scores")


def test_an_image_without_the_library_names_the_image_that_has_it(
    write_bundle: Any, iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "missing_packages", lambda kind: ["sklearn"] if kind == "joblib" else [])
    said = refusal(write_bundle({"joblib": iris}), allow_pickle=True)
    assert "joblib needs sklearn, not installed: use the image modelport/service-sklearn:sklearn" in said
    bare = refusal(write_bundle({"joblib": iris}, name="bare", framework=None), model_name="bare", allow_pickle=True)
    assert bare.endswith("use the image modelport/service-sklearn")


def test_files_that_are_no_model_are_refused_with_a_sentence(write_bundle: Any, serve: Any) -> None:
    for index, (kind, content, said) in enumerate(
        [
            ("onnx", b"not a graph", "not a graph that ONNX Runtime can run"),
            ("joblib", b"not a pickle", "cannot be loaded"),
            ("joblib", pickle.dumps({"a": 1}), "which has no predict method"),
        ]
    ):
        packed = write_bundle({kind: content}, name=f"m{index}")
        assert said in refusal(packed, model_name=f"m{index}", allow_pickle=True)


def test_a_signature_the_graph_does_not_know_is_refused(write_bundle: Any, iris: Any) -> None:
    signature = iris_signature()
    fewer = dataclasses.replace(signature, inputs=(Feature(IRIS_NAMES[0], "float64"),))
    golden = Golden(([1.0],), (Answer(0),))
    assert isinstance(fewer, Signature)
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)}, signature=fewer, golden=golden)
    assert "golden rows" in refusal(packed)


def test_other_folders_in_the_root_do_not_matter(write_bundle: Any, serve: Any, iris: Any) -> None:
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)})
    for other in ("lost+found", ".staging", ".git", "notes"):
        (packed.root / other).mkdir()
    (packed.root / "iris" / "lost+found").mkdir()
    assert serve(packed).get("/health").status_code == 200


def test_a_root_that_cannot_be_read_is_told(write_bundle: Any, iris: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = write_bundle({"onnx": onnx_bytes(iris, 4)})

    def refuse(_: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(packed.root))

    monkeypatch.setattr(Path, "iterdir", refuse)  # root, as tests run here, may read everything
    assert "Permission denied" in refusal(packed)


def test_golden_answers_of_another_shape_are_refused(write_bundle: Any, iris: Any) -> None:
    golden = Golden((ROW,), (Answer([0, 1]),))
    assert "answered wrong" in refusal(write_bundle({"onnx": onnx_bytes(iris, 4)}, golden=golden))


def test_which_model_and_version_is_served(write_bundle: Any, serve: Any, iris: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    empty = Packed(tmp_path / "root", tmp_path, None)  # type: ignore[arg-type]
    assert "holds no model" in refusal(empty)
    assert "is not a folder" in refusal(Packed(tmp_path / "none", tmp_path, None))  # type: ignore[arg-type]
    graph = onnx_bytes(iris, 4)
    for version in ("9", "10", "2"):
        packed = write_bundle({"onnx": graph}, version=version)
    assert serve(packed).get("/health").json()["models"][0]["version"] == "10"
    assert serve(packed, model_version="9").get("/health").json()["models"][0]["version"] == "9"
    assert "holds no iris version 3" in refusal(packed, model_version="3")
    write_bundle({"onnx": graph}, name="other")
    assert "MODELPORT_MODEL_NAME" in refusal(packed)
    assert "it has iris, other" in refusal(packed, model_name="third")
    assert "holds no third" in refusal(packed, model_name="third")
