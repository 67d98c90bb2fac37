"""`modelport models` and `modelport traffic` against a real server of two workers."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelport import Client, pack

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 and 2 of iris, and a third whose file is damaged."""
    root, data = tmp_path_factory.mktemp("models"), load_iris(as_frame=True)
    for version in ("1", "2", "3"):
        model = LogisticRegression(max_iter=500, C=float(version)).fit(data.data, data.target)
        packed = pack(model, data.data, name="iris", version=version, destination=root)
    (packed.path / "model.onnx").write_bytes(b"damaged")
    return root


@pytest.fixture
def server(
    models: Path, serving: Callable[..., Any], tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[tuple[Client, list[str]]]:
    """The server's client, and the options that name its admin port."""
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    port = free_port()
    environment = {"ADMIN__PORT": str(port), "ADMIN__TOKEN_FILE": str(token), "MODEL_VERSION": "1", "WORKERS": "2"}
    settings = {f"MODELPORT_{name}": value for name, value in environment.items()}
    with serving(models, **settings) as (client, _):
        yield client, ["--url", f"http://127.0.0.1:{port}", "--token-file", str(token)]


def versions(client: Client, times: int) -> "Counter[str]":
    return Counter(client.predict(ROW).model_version for _ in range(times))


def test_traffic_is_moved_and_shown(server: tuple[Client, list[str]], modelport: Any) -> None:
    client, at = server
    assert versions(client, 20) == {"1": 20}
    assert modelport("traffic", "show", *at).stdout == "generation 0: every request gets the server's own default\n"
    done = modelport("traffic", "set", "iris", "1=50", "2=50", *at)
    assert (done.returncode, done.stderr) == (0, "")
    shared = versions(client, 200)
    assert set(shared) == {"1", "2"}
    assert 60 < shared["2"] < 140  # of 200 halves, six standard deviations
    promoted = modelport("traffic", "default", "iris", "2", *at, "--json")
    assert json.loads(promoted.stdout)["models"]["iris"]["default"] == "2"
    assert versions(client, 20) == {"2": 20}
    rows = {row["version"]: row for row in json.loads(modelport("models", "list", *at, "--json").stdout)["models"]}
    assert (rows["2"]["default"], rows["2"]["weight"], rows["2"]["state"]) == (True, 100, "ready")


def test_a_damaged_version_is_refused_and_changes_nothing(server: tuple[Client, list[str]], modelport: Any) -> None:
    client, at = server
    for words in (("traffic", "set", "iris", "1=90", "3=10"), ("models", "load", "iris", "3")):
        done = modelport(*words, *at)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: refused:")
        assert "model.onnx" in done.stderr
        assert "Traceback" not in done.stderr
    assert versions(client, 20) == {"1": 20}
    assert json.loads(modelport("traffic", "show", *at, "--json").stdout)["generation"] == 0


def test_a_version_is_loaded_and_unloaded(server: tuple[Client, list[str]], modelport: Any) -> None:
    _, at = server
    assert "iris version 2 is loaded" in modelport("models", "load", "iris", "2", *at).stdout
    assert "in use" in modelport("models", "unload", "iris", "1", *at).stderr
    assert "iris version 2 is unloaded" in modelport("models", "unload", "iris", "2", *at).stdout
    shown = modelport("models", "list", *at).stdout.splitlines()
    assert [line.split()[:3] for line in shown[4:6]] == [["iris", "1", "ready"], ["iris", "2", "available"]]


def test_a_wrong_token_is_refused(server: tuple[Client, list[str]], modelport: Any, tmp_path: Path) -> None:
    _, at = server
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    done = modelport("models", "list", *at[:2], "--token-file", wrong)
    assert done.returncode == 1
    assert "HTTP 401" in done.stderr
