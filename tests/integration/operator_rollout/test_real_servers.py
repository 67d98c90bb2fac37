"""Rollouts over real servers: what they count is read, documents are put, bad candidates are found out."""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.access import key_entry, write_json
from support.admin import Admin
from support.bundles import write_bare
from support.candidates import Failing, Fine, Sleepy
from support.load import Load
from support.service import running

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
PATIENCE = 60.0


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
        deadline = time.monotonic() + PATIENCE
        while self._state.phase not in ENDED:
            assert time.monotonic() < deadline, f"{self._state.phase}: {self._state.message}"
            self.turn(spec)
            time.sleep(0.2)


def target(version: str, steps: int = 2, **analysis: Any) -> dict[str, Any]:
    weights = [{"weight": weight, "pauseSeconds": 1} for weight in (20, 50)[:steps]]
    return {
        "model": {"name": "m", "version": version, "uri": f"file:///{version}"},
        "rollout": {"steps": weights, "analysis": {"minRequests": 20} | analysis},
    }


def unused_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Admin, int]]]:
    """Two servers with the same token and all versions, of which the fifth is damaged; each with its service's port.

    The second asks for keys.
    """
    folder = tmp_path_factory.mktemp("pods")
    for version, estimator in {"1": Fine(), "2": Fine(), "3": Failing(), "4": Sleepy(), "5": Fine()}.items():
        write_bare(folder / "models", estimator, "m", version)
    (folder / "models" / "m" / "5" / "model.joblib").write_bytes(b"damaged")
    write_json(folder / "keys.json", [key_entry("shop", KEY, roles=["predict"])])
    admins = [Admin(folder, unused_port()) for _ in range(PODS)]
    found = [(admin, unused_port()) for admin in admins]
    keys = ({}, {"ACCESS__KEYS_FILE": str(folder / "keys.json")})
    with ExitStack() as stack:
        for (admin, port), access in zip(found, keys, strict=True):
            settings = admin.settings | access | {"ADMIN__TOKEN_FILE": admins[0].settings["ADMIN__TOKEN_FILE"]}
            stack.enter_context(running(folder / "models", port, folder, MODEL_VERSION="1", WORKERS="1", **settings))
        yield found


@pytest.fixture
def rollout(pods: list[tuple[Admin, int]]) -> Rollout:
    """The first version is in force, whatever was before."""
    rollout = Rollout(pods)
    for _ in range(3):
        rollout.turn(target("1"))
    assert rollout.state.proven
    assert rollout.decisions[-1].behind == ()
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
    rollout.turn(target("2"))
    assert rollout.state.phase == "Promoted"
    time.sleep(0.5)
    assert [load.failures for load in loads] == [{}, {}]
    assert [load.versions["2"] > 20 for load in loads] == [True, True]
    assert [load.sequences[0][-1] for load in loads] == ["2", "2"]


BAD = {
    "errors": ("3", {}, "ErrorRate"),
    "latency": ("4", {"maxP95Seconds": 0.05}, "P95Seconds"),
    "latency against the stable version": ("4", {"maxP95Ratio": 3.0}, "P95Ratio"),
}


@pytest.mark.parametrize(("version", "limits", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_candidate_is_found_out_by_what_the_servers_count(
    rollout: Rollout, loads: list[Load], version: str, limits: dict[str, Any], reason: str
) -> None:
    rollout.until_ended(target(version, **limits))
    assert (rollout.state.phase, rollout.state.reason) == ("Aborted", reason)
    rollout.turn(target(version, **limits))
    seen = [load.versions[version] + load.outcomes["500"] for load in loads]
    time.sleep(0.5)
    assert [load.versions[version] + load.outcomes["500"] for load in loads] == seen
    assert rollout.decisions[-1].behind == ()


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


def test_scores_and_their_shift_are_read(tmp_path: Path, free_port: Callable[[], int]) -> None:
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


def test_both_ports_of_a_server_with_a_certificate_are_checked_by_name(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
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
