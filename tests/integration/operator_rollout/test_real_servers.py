"""Rollouts over real servers: what they count is read, documents are put, bad candidates are found out."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.access import key_entry, write_json
from support.admin import Admin
from support.bundles import write_bare
from support.candidates import Failing, Fine
from support.estimators import Slow
from support.load import Load
from support.ports import free_port
from support.service import running, wait_for

from model_operator.rollout import (
    Address,
    Decision,
    Observation,
    RolloutSpec,
    RolloutState,
    Trust,
    decide,
    gather,
    push,
)
from modelport import pack

PODS = 2
KEY = f"mp_{secrets.token_urlsafe(32)}"
ENDED = {"Promoted", "Aborted"}
PATIENCE = 180.0


class Rollout:
    """The operator's loop around servers that are its pods."""

    def __init__(self, pods: list[tuple[Admin, int]]) -> None:
        self._pods = pods
        self._token = pods[0][0].token
        self._state, self._refused = RolloutState(), {}
        self._document: Any = None
        self.decisions: list[Decision] = []

    @property
    def state(self) -> RolloutState:
        return self._state

    def turn(self, spec: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        fingerprint = self._state.fingerprint
        addresses = [
            Address(f"pod-{port}", f"{port}", "127.0.0.1", now, fingerprint, port, admin.port)
            for admin, port in self._pods
        ]
        seen = Observation(
            pods=gather(addresses, "m", self._token), replicas=PODS, document=self._document, refused=self._refused
        )
        decision = decide(RolloutSpec.of(spec), self._state, seen, now)
        self._state, self._document = RolloutState.of(decision.state.dump()), decision.traffic
        report = push(decision.traffic, [at for at in addresses if at.name in decision.behind], self._token)
        assert report.unreachable == {}
        self._refused = report.refused
        self.decisions.append(decision)

    def until_ended(self, spec: dict[str, Any]) -> None:
        self._until(spec, lambda: self._state.phase in ENDED)

    def until_in_force(self, spec: dict[str, Any]) -> None:
        """Every pod has told that it does what was decided."""
        self.turn(spec)
        self._until(spec, lambda: self._state.proven and self.decisions[-1].behind == ())

    def _until(self, spec: dict[str, Any], condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{self._state.phase}: {self._state.message}"
            self.turn(spec)
            time.sleep(0.2)


def target(version: str, steps: int = 2, **analysis: Any) -> dict[str, Any]:
    weights = [{"weight": weight, "pauseSeconds": 1} for weight in (20, 50)[:steps]]
    return {
        "model": {"name": "m", "version": version, "uri": f"file:///{version}"},
        "rollout": {"steps": weights, "analysis": {"minRequests": 20} | analysis},
    }


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of a busy machine may be slow to answer; none of them hangs."""
    for name in ("LOOK", "PUSH"):
        monkeypatch.setattr(f"model_operator.rollout.pods.{name}", urllib3.Timeout(60))


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Admin, int]]]:
    """Two servers with the same token and all versions, of which the fifth is damaged; each with its service's port.

    The second asks for keys.
    """
    folder = tmp_path_factory.mktemp("pods")
    for version, estimator in {"1": Fine(), "2": Fine(), "3": Failing(), "4": Slow(), "5": Fine()}.items():
        write_bare(folder / "models", estimator, "m", version)
    (folder / "models" / "m" / "5" / "model.joblib").write_bytes(b"damaged")
    write_json(folder / "keys.json", [key_entry("shop", KEY, roles=["predict"])])
    found = [(Admin(folder, free_port()), free_port()) for _ in range(PODS)]
    keys = ({}, {"ACCESS__KEYS_FILE": str(folder / "keys.json")})
    with ExitStack() as stack:
        for (admin, port), access in zip(found, keys, strict=True):
            settings = admin.settings | access | {"ADMIN__TOKEN_FILE": found[0][0].settings["ADMIN__TOKEN_FILE"]}
            stack.enter_context(running(folder / "models", port, folder, MODEL_VERSION="1", WORKERS="1", **settings))
        yield found


@pytest.fixture
def rollout(pods: list[tuple[Admin, int]]) -> Rollout:
    """The first version is in force, whatever was before."""
    rollout = Rollout(pods)
    rollout.until_in_force(target("1"))
    return rollout


@pytest.fixture
def loads(rollout: Rollout) -> Iterator[list[Load]]:
    """Requests to every server."""
    urls = [f"http://127.0.0.1:{port}/predict" for _, port in rollout._pods]
    found = [Load(url, {"features": [1.0]}, rate=60, headers={"x-api-key": KEY}) for url in urls]
    with ExitStack() as stack:
        yield [stack.enter_context(load.running()) for load in found]


def test_a_good_candidate_gets_all_of_the_traffic_and_no_request_fails(rollout: Rollout, loads: list[Load]) -> None:
    rollout.until_ended(target("2"))
    rollout.until_in_force(target("2"))
    assert rollout.state.phase == "Promoted"
    last = [seen for load in loads for seen in load.sequences]
    wait_for(lambda: all(seen[-1:] == ["2"] for seen in last), lambda: f"connections saw {last}")
    after = answered_from_now_on(loads)
    assert [load.failures for load in loads] == [{}, {}]
    assert [load.versions["2"] > 20 for load in loads] == [True, True]
    assert [load.versions.keys() for load in after] == [{"2"}, {"2"}]


def answered_from_now_on(loads: list[Load]) -> list[Load]:
    """The same load anew: nothing in it was asked before."""
    found = [Load(load.url, load.body, load.rate, headers=load.headers) for load in loads]
    with ExitStack() as stack:
        for load in found:
            stack.enter_context(load.running())
        wait_for(lambda: all(load.sent >= 60 for load in found), lambda: f"{[load.sent for load in found]} answers")
    return found


BAD = {
    "errors": ("3", {}, "ErrorRate"),
    "latency": ("4", {"maxP95Seconds": 0.05}, "P95Seconds"),
    "latency against the stable version": ("4", {"maxP95Ratio": 2.0}, "P95Ratio"),
}


@pytest.mark.parametrize(("version", "limits", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_candidate_is_found_out_by_what_the_servers_count(
    rollout: Rollout, loads: list[Load], version: str, limits: dict[str, Any], reason: str
) -> None:
    rollout.until_ended(target(version, **limits))
    assert (rollout.state.phase, rollout.state.reason) == ("Aborted", reason)
    rollout.until_in_force(target(version, **limits))
    after = answered_from_now_on(loads)
    assert [(load.failures, load.versions.keys()) for load in after] == [({}, {"1"})] * 2


def test_a_candidate_that_servers_refuse_to_load_never_gets_traffic(rollout: Rollout, loads: list[Load]) -> None:
    rollout.until_ended(target("5"))
    assert (rollout.state.phase, rollout.state.reason) == ("Aborted", "NotLoaded")
    assert not any("weights" in decision.traffic["models"]["m"] for decision in rollout.decisions)
    assert [load.failures for load in loads] == [{}, {}]


def test_a_shadow_is_judged_by_copies(rollout: Rollout, loads: list[Load]) -> None:
    spec = target("3") | {"shadow": {"seconds": 1, "minRequests": 20}}
    rollout.until_ended(spec)
    assert (rollout.state.phase, rollout.state.reason) == ("Aborted", "ErrorRate")
    assert [load.failures for load in loads] == [{}, {}]


def test_scores_and_their_shift_are_read(tmp_path: Path) -> None:
    data = load_breast_cancer(as_frame=True)
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target)
    pack(estimator, data.data, name="m", version="1", destination=tmp_path / "models", formats=["onnx"])
    admin, port = Admin(tmp_path, free_port()), free_port()
    address = Address("pod", "uid", "127.0.0.1", datetime.now(UTC), "", port, admin.port)
    with running(tmp_path / "models", port, tmp_path, **admin.settings, WORKERS="1") as service:
        rows = [{"features": row} for row in data.data.head(1).to_dict("records")] * 100
        for _ in range(3):
            assert service.request("POST", "/predict/batch", json={"requests": rows}).status == 200
        (pod,) = gather([address], "m", admin.token)
    assert pod.problem == ""
    assert sum(count for name, count in pod.counts["1"].items() if name.startswith("score/")) == 300
    assert pod.shifts["1"] > 0.2, "one row again and again is not the training sample"
    assert pod.counts["1"]["answers/ok"] == 3


def test_both_ports_of_a_server_with_a_certificate_are_checked_by_name(tmp_path: Path) -> None:
    authority, admin, port = trustme.CA(), Admin(tmp_path, free_port()), free_port()
    authority.issue_cert("m.models.svc").private_key_and_cert_chain_pem.write_to_path(tmp_path / "tls.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    tls = {"ca_certs": str(tmp_path / "ca.crt"), "server_hostname": "m.models.svc"}
    for version in ("1", "2"):
        write_bare(tmp_path / "models", Fine(), "m", version)
    address = Address("pod", "uid", "127.0.0.1", datetime.now(UTC), "", port, admin.port, tls=True)
    trust = Trust((tmp_path / "ca.crt").read_text(), "m.models.svc")
    settings = admin.settings | {"TLS_CERT_FILE": str(tmp_path / "tls.pem"), "MODEL_VERSION": "1"}
    document = {"generation": 1, "models": {"m": {"default": "2", "pinned": ["2"]}}}
    with running(tmp_path / "models", port, tmp_path, tls, **settings) as service:
        assert push(document, [address], admin.token, trust).taken == ("pod",)
        assert service.request("POST", "/predict", json={"features": [1.0]}).json()["model_version"] == "2"
        (pod,) = gather([address], "m", admin.token, trust)
    assert (pod.generation, pod.counts["2"]["answers/ok"], pod.problem) == (1, 1, "")
