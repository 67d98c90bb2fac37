"""The requests that the chart makes, `helm test` and the one in its notes, against a running service."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import pytest
import urllib3
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from support.chart import CHART, URI, Render, render, run_helm

from modelport import pack

SEED = 7


@contextmanager
def serving(root: Path, port: int, **environ: str) -> Iterator[str]:
    """A service of the models in `root`, ready."""
    settings = {"MODELPORT_MODEL_ROOT": str(root), "MODELPORT_API_PORT": str(port)} | environ
    with subprocess.Popen([sys.executable, "-m", "model_service"], env=os.environ | settings) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            limit = time.monotonic() + 60
            while not _answers(f"{address}/health"):
                assert process.poll() is None, "the service ended"
                assert time.monotonic() < limit, "the service is not ready"
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    root = tmp_path_factory.mktemp("packed")
    pack(LogisticRegression(max_iter=5000).fit(data, target), data, name="cancer", version="1", destination=root)
    return root


def run_test_pod(rendered: Render, address: str) -> subprocess.CompletedProcess[str]:
    """Run what the test pod runs, with `address` for its Service's."""
    (container,) = rendered.one("Pod")["spec"]["containers"]
    script, service, request = container["args"]
    assert service == "http://first-model-service:80"
    assert "$(" not in script, "Kubernetes would expand it"
    assert container["command"] == ["python", "-c"]
    command = [sys.executable, "-c", script, address, request]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer_of(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.split("answer: ")[1])


def test_helm_test_and_notes_send_the_example_of_a_bundle(
    packed: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with serving(packed, free_port()) as address:
        answer = answer_of(run_test_pod(render(URI), address))
        pasted = paste(notes(URI, tmp_path), address)
        wrong = run_test_pod(render(URI | {"test": {"request": {"features": [1]}}}), address)
    assert (answer["model_name"], answer["model_version"]) == ("cancer", "1")
    assert answer["prediction"] == pasted["prediction"]
    assert wrong.returncode == 1
    assert "422" in wrong.stderr


@pytest.mark.parametrize("columns", [True, False], ids=["named", "unnamed"])
def test_helm_test_and_notes_predict_with_a_bare_file(
    tmp_path: Path, free_port: Callable[[], int], columns: bool
) -> None:
    data, target = load_breast_cancer(return_X_y=True, as_frame=columns)
    joblib.dump(RandomForestClassifier(5, random_state=SEED).fit(data, target), tmp_path / "forest.joblib")
    fetch = [sys.executable, "-m", "model_fetcher", str(tmp_path / "forest.joblib"), "--root", str(tmp_path / "root")]
    subprocess.run(fetch, check=True)
    with serving(tmp_path / "root", free_port(), MODELPORT_ALLOW_PICKLE="true") as address:
        answer = answer_of(run_test_pod(render(URI), address))
        pasted = paste(notes(URI, tmp_path), address)
    assert answer["model_name"] == pasted["model_name"] == "forest"


def notes(values: dict[str, Any], folder: Path) -> str:
    """NOTES.txt, which helm shows only when it installs: rendered as part of an object instead."""
    copy = Path(shutil.copytree(CHART, folder / "chart", dirs_exist_ok=True))
    shutil.copy(copy / "templates" / "NOTES.txt", copy / "notes.txt")
    (copy / "templates" / "notes.yaml").write_text(
        'kind: Notes\nnotes: {{ tpl (.Files.Get "notes.txt") . | toJson }}\n'
    )
    result = run_helm("template", "first", str(copy), "--namespace=models", "--values=-", text=json.dumps(values))
    assert result.returncode == 0, result.stderr
    found: str = Render(result.stdout).one("Notes")["notes"]
    return found


def paste(text: str, address: str) -> Any:
    """The answer to the request in the notes, sent to `address` for the forwarded port."""
    assert "port-forward service/first-model-service 8000:80 &" in text
    request = re.search(r"^ *(curl .*(?:\n +\|.*)*)", text, re.MULTILINE)
    assert request
    command = request[1].replace("http://127.0.0.1:8000", address)
    return json.loads(subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout)


def test_the_notes_warn_of_a_model_that_is_not_pinned(tmp_path: Path) -> None:
    assert "not pinned" in notes(URI, tmp_path)
    assert "not pinned" not in notes({"model": URI["model"] | {"digest": f"sha256:{'a' * 64}"}}, tmp_path)
