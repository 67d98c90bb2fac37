"""Looking at pods and putting documents to them, over real connections."""

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import Message
from typing import Any

import pytest
import trustme
import urllib3
from support.answering import Answering
from support.rollout import START

from model_operator.rollout import Address, Trust, gather, origin, push

DOCUMENT = {"generation": 4, "models": {"churn": {"default": "1", "pinned": ["1"]}}}
METRICS = 'model_score_shift{model_name="churn",model_version="1"} 0.5\n'


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods of a busy machine may be slow to answer; none of them hangs."""
    for name in ("LOOK", "PUSH"):
        monkeypatch.setattr(f"model_operator.rollout.pods.{name}", urllib3.Timeout(60))


class Pod(Answering):
    """Both ports of a pod in one, with its answers by method and path."""

    def __init__(self, answers: dict[tuple[str, str], tuple[int, str]], context: ssl.SSLContext | None = None) -> None:
        super().__init__(context=context)
        self.answers = answers
        self.asked: list[tuple[str, str, str | None, bytes]] = []

    def respond(self, method: str, path: str, headers: Message, body: bytes) -> tuple[int, str]:
        self.asked.append((method, path, headers.get("Authorization"), body))
        return self.answers.get((method, path), (404, "{}"))

    @property
    def address(self) -> Address:
        return Address(f"pod-{self.port}", f"uid-{self.port}", "127.0.0.1", START, "abc", self.port, self.port)


@contextmanager
def serving(
    context: ssl.SSLContext | None = None, **answers: tuple[int, str]
) -> Iterator[tuple[Address, list[tuple[str, str, str | None, bytes]]]]:
    """A pod that answers `get`, `put` and `metrics` so."""
    paths = {"get": ("GET", "/admin/traffic"), "put": ("PUT", "/admin/traffic"), "metrics": ("GET", "/metrics")}
    with Pod({paths[name]: answer for name, answer in answers.items()}, context).running() as pod:
        yield pod.address, pod.asked


def nobody() -> Address:
    """The address of a pod that is gone."""
    with Pod({}) as server:
        return server.address


def test_gather_asks_for_the_document_and_the_metrics() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, METRICS)) as (address, asked):
        (pod,) = gather([address], "churn", "secret")
    assert (pod.generation, pod.shifts, pod.rendered, pod.uid) == (4, {"1": 0.5}, "abc", address.uid)
    assert [entry[:3] for entry in asked] == [
        ("GET", "/admin/traffic", "Bearer secret"),
        ("GET", "/metrics", "Bearer secret"),
    ]


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"get": (401, '{"error": "unauthenticated"}'), "metrics": (200, METRICS)},
        {"get": (200, "<html>"), "metrics": (200, METRICS)},
        {"get": (200, "[]"), "metrics": (200, METRICS)},
    ],
)
def test_a_pod_that_does_not_say_what_is_in_force_is_there_all_the_same(answers: dict[str, tuple[int, str]]) -> None:
    with (
        serving(**answers) as (address, _),
        serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, METRICS)) as (ok, _),
    ):
        seen = gather([address, nobody(), ok], "churn", "secret")
    assert [pod.generation for pod in seen] == [-1, -1, 4]
    assert [dict(pod.counts) for pod in seen] == [{}, {}, {}]
    assert [bool(pod.problem) for pod in seen] == [True, True, False]


def test_metrics_that_cannot_be_read_leave_the_generation() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(200, "model_score_shift{")) as (address, _):
        (pod,) = gather([address], "churn", "secret")
    assert (pod.generation, pod.counts) == (4, {})
    assert pod.problem.endswith("/metrics: ValueError")


def test_metrics_behind_access_control_are_told_of() -> None:
    with serving(get=(200, json.dumps(DOCUMENT)), metrics=(401, "{}")) as (address, _):
        (pod,) = gather([address], "churn", "secret")
    assert pod.problem.endswith("/metrics: HTTP 401")


def test_push_tells_who_took_the_document_and_why_the_others_did_not() -> None:
    refusal = json.dumps({"error": "conflict", "message": "churn version 2 cannot be loaded: wrong answers"})
    with (
        serving(put=(200, json.dumps(DOCUMENT))) as (taker, asked),
        serving(put=(409, refusal)) as (refuser, _),
        serving(put=(503, "busy")) as (busy, _),
    ):
        gone = nobody()
        report = push(DOCUMENT, [taker, refuser, busy, gone], "secret")
    assert report.taken == (taker.name,)
    assert report.refused == {refuser.name: "churn version 2 cannot be loaded: wrong answers"}
    assert report.unreachable == {busy.name: "HTTP 503", gone.name: "NewConnectionError"}
    assert json.loads(asked[0][3]) == DOCUMENT


def test_nobody_to_ask_is_nothing_to_wait_for() -> None:
    assert gather([], "churn", "secret") == ()
    assert push(DOCUMENT, [], "secret").taken == ()


def test_an_address_of_ipv6_is_one() -> None:
    assert origin("fd00::7", 8081, tls=False, trust=None) == "http://[fd00::7]:8081"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certified(authority: trustme.CA) -> ssl.SSLContext:
    """Of a pod with the certificate of its Service."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("churn.models.svc").configure_cert(context)
    return context


def trusting(authority: trustme.CA, name: str = "churn.models.svc") -> Trust:
    return Trust(authority.cert_pem.bytes().decode(), name)


def test_pods_with_a_certificate_are_asked_by_address_and_checked_by_name(
    authority: trustme.CA, certified: ssl.SSLContext
) -> None:
    document = json.dumps(DOCUMENT)
    with (
        serving(certified, get=(200, document), put=(200, document), metrics=(200, METRICS)) as (address, _),
        serving(get=(200, document), put=(200, document), metrics=(200, METRICS)) as (plain, _),
    ):
        pods = [replace(address, tls=True), plain]  # while the certificate comes, by a rolling update
        seen = gather(pods, "churn", "secret", trusting(authority))
        report = push(DOCUMENT, pods, "secret", trusting(authority))
    assert [(pod.generation, pod.shifts, pod.problem) for pod in seen] == [(4, {"1": 0.5}, "")] * 2
    assert report.taken == (address.name, plain.name)


@pytest.mark.parametrize(
    ("trust", "why"),
    [
        (lambda authority: trusting(trustme.CA()), "certificate verify failed"),
        (lambda authority: trusting(authority, "other.models.svc"), "not valid for 'other.models.svc'"),
        (lambda authority: Trust("no PEM", "churn.models.svc"), "NO_CERTIFICATE_OR_CRL_FOUND|no start line|no PEM"),
        (lambda authority: None, "spec.tls says no authorities"),
    ],
    ids=["another authority", "another name", "no certificate", "nothing known"],
)
def test_a_certificate_that_does_not_hold_is_told_and_gets_no_token(
    authority: trustme.CA, certified: ssl.SSLContext, trust: Any, why: str
) -> None:
    with serving(certified, get=(200, json.dumps(DOCUMENT))) as (address, asked):
        pod = replace(address, tls=True)
        (seen,) = gather([pod], "churn", "secret", trust(authority))
        report = push(DOCUMENT, [pod], "secret", trust(authority))
    assert re.search(why, seen.problem)
    assert re.search(why, report.unreachable[pod.name])
    assert asked == []
