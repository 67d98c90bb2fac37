"""`modelport rollout` against an API server of the test's own, which also plays the operator."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.answering import Answering

PATH = "/apis/modelport.dev/v1alpha1/namespaces/models/modeldeployments/churn"
ROLLOUT = {
    "stage": "Stepping",
    "step": 1,
    "since": "2026-01-01T00:00:00+00:00",
    "reason": "",
    "message": "step 2 of 2: 50 % of the traffic",
    "stable": "1",
    "candidate": "2",
    "command": "",
    "ignored": "",
    "versions": [
        {"version": "1", "weight": 50, "answers": 310, "failed": 0, "refused": 0, "copies": 0},
        {"version": "2", "weight": 50, "answers": 248, "failed": 1, "refused": 0, "copies": 0},
    ],
    "analysis": [{"name": "errorRate", "value": 0.004, "limit": 0.01}, {"name": "p95Seconds", "value": 0.021}],
}

Obey = Callable[[dict[str, Any], str], None]


class Cluster(Answering):
    """One ModelDeployment; `obey` is what the operator does with a command."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.resource: dict[str, Any] | None = {"status": {"rollout": dict(ROLLOUT)}}
        self.obey: Obey = lambda rollout, command: rollout.update(command=command)
        self.reads = 0
        self.at_read: Callable[[int, dict[str, Any]], None] = lambda _count, _rollout: None
        self.commands: list[str] = []
        self.status = 200
        self._config = folder / "kubeconfig"
        self._config.write_text(
            yaml.safe_dump({
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "models"}}],
                "users": [{"name": "test", "user": {}}],
                "current-context": "test",
            })
        )  # fmt: skip

    def run(self, *arguments: str, config: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KUBECONFIG": config or str(self._config), "HOME": "/nowhere"}
        command = [sys.executable, "-m", "modelport", "rollout", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def respond(self, method: str, path: str, _: object, body: bytes) -> tuple[int, Any]:
        if path != PATH or self.resource is None:
            return 404, {"kind": "Status", "message": "not found"}
        rollout = self.resource["status"].get("rollout")
        if method == "PATCH":
            command = json.loads(body)["metadata"]["annotations"]["modelport.dev/rollout"]
            self.commands.append(command)
            self.obey(rollout, command)
        else:
            self.reads += 1
            self.at_read(self.reads, rollout)
        return self.status, self.resource


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path).running() as found:
        yield found


def test_status_shows_stage_weights_counts_and_figures(cluster: Cluster) -> None:
    shown = cluster.run("status", "churn")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        "churn: Stepping: step 2 of 2: 50 % of the traffic",
        "",
        "VERSION  ROLE       TRAFFIC  ANSWERS  FAILED  REFUSED  COPIES",
        "-------  ---------  -------  -------  ------  -------  ------",
        "1        stable     50 %     310      0       0        0",
        "2        candidate  50 %     248      1       0        0",
        "",
        "FIGURE      VALUE  LIMIT",
        "----------  -----  -----",
        "errorRate   0.004  0.01",
        "p95Seconds  0.021",
    ]
    assert json.loads(cluster.run("status", "churn", "-n", "models", "--json").stdout) == ROLLOUT


def test_watch_tells_each_change_and_ends_with_the_rollout(cluster: Cluster) -> None:
    def over(count: int, rollout: dict[str, Any]) -> None:
        if count > 2:
            rollout.update(stage="Aborted", reason="ErrorRate", message="the share of failed answers is 0.1")

    cluster.at_read = over
    shown = cluster.run("status", "churn", "--watch").stdout.splitlines()
    assert [line for line in shown if line.startswith("churn: ")] == [
        "churn: Stepping: step 2 of 2: 50 % of the traffic",
        "churn: Aborted (ErrorRate): the share of failed answers is 0.1",
    ]


@pytest.mark.parametrize("action", ["promote", "pause", "resume", "abort"])
def test_a_command_is_left_for_the_operator_and_its_outcome_told(cluster: Cluster, action: str) -> None:
    cluster.obey = lambda rollout, command: rollout.update(command=command, stage="Paused", message="as asked")
    shown = cluster.run(action, "churn", "--namespace", "models")
    assert shown.returncode == 0, shown.stderr
    assert cluster.commands[0].startswith(f"{action}:2@20")
    assert shown.stdout.startswith("churn: Paused: as asked\n")


def test_a_command_that_makes_no_sense_is_a_failure(cluster: Cluster) -> None:
    cluster.obey = lambda rollout, command: rollout.update(command=command, ignored="nothing to promote: Idle")
    shown = cluster.run("promote", "churn")
    assert (shown.returncode, shown.stderr) == (1, "Error: nothing to promote: Idle\n")


def test_what_is_not_there_is_named(cluster: Cluster) -> None:
    shown = cluster.run("status", "fraud")
    assert shown.returncode == 1
    assert "Error: ModelDeployment fraud in the namespace models: it is not there" in shown.stderr
    cluster.resource = {"status": {}}
    shown = cluster.run("abort", "churn")
    assert "churn has no status yet: does the operator run?" in shown.stderr
    assert cluster.commands == []


def test_a_cluster_that_refuses_or_is_gone_is_told_in_a_sentence(cluster: Cluster) -> None:
    for status, words in {403: "verbs get and patch on modeldeployments", 500: "the cluster refused"}.items():
        cluster.status = status
        shown = cluster.run("status", "churn")
        assert shown.returncode == 1
        assert words in shown.stderr
    assert "no cluster is configured" in cluster.run("status", "churn", config="/nowhere").stderr


def test_watch_as_json_is_one_object_at_the_end(cluster: Cluster) -> None:
    cluster.at_read = lambda count, rollout: rollout.update(stage="Promoted") if count > 1 else None
    assert json.loads(cluster.run("status", "churn", "--watch", "--json").stdout)["stage"] == "Promoted"
