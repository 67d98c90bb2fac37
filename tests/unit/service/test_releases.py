"""What every release has written stays loadable and servable."""

import json
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from fastapi.testclient import TestClient
from support.releases import RELEASES

from model_artifact import __version__
from model_artifact.bundle import verify
from model_artifact.framework import incompatibilities
from model_service import proving, runtimes
from model_service.app import create_app
from model_service.schema import Schema
from model_service.settings import PREFIX, Settings, load_settings, written

FETCHER = f"{PREFIX}FETCH_"
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)


def bundle_of(release: Path) -> Any:
    return verify(release / "models" / "iris" / "1")


def test_every_minor_version_has_left_something() -> None:
    assert __version__.rpartition(".")[0] in {release.name.rpartition(".")[0] for release in RELEASES}


@each_release
def test_its_settings_mean_what_they_meant(release: Path, tmp_path: Path) -> None:
    environment = {name: str(value) for name, value in dotenv_values(release / "settings.env").items()}
    settings, origins = load_settings({}, environment, tmp_path / ".env")
    for variable, text in environment.items():
        if not variable.startswith(FETCHER):
            name = variable.removeprefix(PREFIX).lower()
            assert (written(getattr(settings, name)), origins[name]) == (text, "environment")


@each_release
def test_its_bundle_is_served(release: Path) -> None:
    exchange = json.loads((release / "exchange.json").read_text())
    settings = Settings(model_root=release / "models", model_digest=bundle_of(release).digest, require_pinned=True)
    with TestClient(create_app(settings)) as client:
        answer = client.post("/predict", json=exchange["request"]).json()
    expected = exchange["answer"]
    assert answer.pop("probabilities") == pytest.approx(expected.pop("probabilities"))
    assert {name: answer[name] for name in expected} == pytest.approx(expected)


@each_release
@pytest.mark.parametrize("kind", ["onnx", "skops", "joblib"])
def test_each_format_of_its_bundle_answers_as_it_did_or_names_the_versions_it_needs(release: Path, kind: Any) -> None:
    bundle = bundle_of(release)
    problems = [] if kind == "onnx" else incompatibilities(bundle.manifest.framework)
    if problems:
        assert bundle.manifest.framework.version in "; ".join(problems)
        return
    path = bundle.path(bundle.manifest.format(kind).path)
    runtime = runtimes.load(kind, path, bundle.manifest.signature, trusted=True)
    proving.replay(bundle, runtime, Schema(runtime.signature))
