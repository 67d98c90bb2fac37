"""Talks to the pods themselves, by their addresses: no metrics server, no Service and no mesh lies in between."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import urllib3

from model_operator.rollout.metrics import Scrape, parse
from model_operator.rollout.state import Document, Pod
from model_operator.rollout.wire import Trust, Unanswered, connections, origin

LOOK = urllib3.Timeout(connect=1.0, read=3.0)
PUSH = urllib3.Timeout(connect=1.0, read=10.0)
"""Seconds; a pod loads a version before it answers, and goes on when nobody waits any more."""
AT_ONCE = 32
REFUSALS = frozenset({409, 422})
"""The pod understood and will not; everything else may go better the next time."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Address:
    """A ready pod."""

    name: str
    uid: str
    ip: str
    started: datetime
    rendered: str = ""
    """Its annotation `modelport.dev/rendered`."""
    port: int = 8000
    admin_port: int = 8081
    tls: bool = False
    apart: bool = False
    """One of the candidate's own Deployment."""


@dataclass(frozen=True)
class Report:
    """Who took a document."""

    taken: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why not, by the pod's name."""
    unreachable: Mapping[str, str] = field(default_factory=dict)


def gather(pods: Sequence[Address], model: str, token: str, trust: Trust | None = None) -> tuple[Pod, ...]:
    """Ask every ready pod what it counted and which document is in force.

    A pod that does not answer in time is there without counts, and with generation -1.

    Args:
        pods: the ready ones.
        model: whose versions are asked about.
        token: for the admin API.
        trust: of pods with a certificate.
    """

    def look(pod: Address, http: urllib3.PoolManager) -> Pod:
        return _look(pod, http, trust, model, token)

    return tuple(_each(pods, look, trust))


def push(document: Document, pods: Sequence[Address], token: str, trust: Trust | None = None) -> Report:
    """Put a document to every one of the pods, at the same time, once."""

    def put(pod: Address, http: urllib3.PoolManager) -> tuple[int, str]:
        return _put(pod, http, trust, document, token)

    answers = _each(pods, put, trust)
    told = [(pod.name, *answer) for pod, answer in zip(pods, answers, strict=True)]
    return Report(
        taken=tuple(name for name, status, _ in told if status == 200),
        refused={name: why for name, status, why in told if status in REFUSALS},
        unreachable={name: why for name, status, why in told if status != 200 and status not in REFUSALS},
    )


def _each(
    pods: Sequence[Address], ask: Callable[[Address, urllib3.PoolManager], Result], trust: Trust | None
) -> list[Result]:
    if not pods:
        return []
    with (
        connections(trust, 2 * len(pods)) as http,
        ThreadPoolExecutor(min(AT_ONCE, len(pods))) as threads,
    ):
        return list(threads.map(lambda pod: ask(pod, http), pods))


def _look(pod: Address, http: urllib3.PoolManager, trust: Trust | None, model: str, token: str) -> Pod:
    scrape, generation, problem, asked = Scrape({}, {}), -1, "", pod.ip
    try:
        asked = _admin(pod, trust)
        generation = int(_get(http, asked, _bearer(token)).json()["generation"])
        asked = f"{origin(pod.ip, pod.port, tls=pod.tls, trust=trust)}/metrics"
        # The token lets us in where access is controlled; elsewhere nobody looks at it.
        scrape = parse(_get(http, asked, _bearer(token)).data.decode(), model)
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:  # it will be asked again
        problem = f"{asked}: {_why(error)}"
    return Pod(
        name=pod.name,
        uid=pod.uid,
        started=pod.started,
        rendered=pod.rendered,
        apart=pod.apart,
        generation=generation,
        counts=scrape.counts,
        shifts=scrape.shifts,
        problem=problem,
    )


def _get(http: urllib3.PoolManager, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    answer = http.request("GET", url, headers=headers, timeout=LOOK)
    if answer.status != 200:
        raise Unanswered(f"HTTP {answer.status}")
    return answer


def _put(
    pod: Address, http: urllib3.PoolManager, trust: Trust | None, document: Document, token: str
) -> tuple[int, str]:
    try:
        answer = http.request("PUT", _admin(pod, trust), json=dict(document), headers=_bearer(token), timeout=PUSH)
    except (urllib3.exceptions.HTTPError, Unanswered) as error:
        return 0, _why(error)
    return answer.status, _sentence(answer)


def _sentence(answer: urllib3.BaseHTTPResponse) -> str:
    """What the pod says is wrong."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}"


def _why(error: Exception) -> str:
    """A word for what went wrong, and a sentence where it is about certificates."""
    told = isinstance(error, (Unanswered, urllib3.exceptions.SSLError))
    return str(error) if told else type(error).__name__


def _admin(pod: Address, trust: Trust | None) -> str:
    return f"{origin(pod.ip, pod.admin_port, tls=pod.tls, trust=trust)}/admin/traffic"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
