"""Talks to the pods themselves, by their addresses: no metrics server, no Service and no mesh lies in between."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import urllib3

from model_operator.rollout.metrics import Scrape, parse
from model_operator.rollout.state import Document, Pod

LOOK = urllib3.Timeout(connect=1.0, read=3.0)
PUSH = urllib3.Timeout(connect=1.0, read=10.0)
"""Seconds; a pod loads a version before it answers, and goes on when nobody waits any more."""
AT_ONCE = 32
REFUSALS = frozenset({409, 422})
"""The pod understood and will not; everything else may go better the next time."""

Result = TypeVar("Result")


class Unanswered(ValueError):
    """A pod said something else than what it was asked for."""


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


@dataclass(frozen=True)
class Report:
    """Who took a document."""

    taken: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why not, by the pod's name."""
    unreachable: Mapping[str, str] = field(default_factory=dict)


def gather(pods: Sequence[Address], model: str, token: str) -> tuple[Pod, ...]:
    """Ask every ready pod what it counted and which document is in force.

    A pod that does not answer in time is there without counts, and with generation -1.

    Args:
        pods: the ready ones.
        model: whose versions are asked about.
        token: for the admin API.
    """
    return tuple(_each(pods, lambda pod, http: _look(pod, http, model, token)))


def push(document: Document, pods: Sequence[Address], token: str) -> Report:
    """Put a document to every one of the pods, at the same time, once."""
    answers = _each(pods, lambda pod, http: _put(pod, http, document, token))
    told = [(pod.name, *answer) for pod, answer in zip(pods, answers, strict=True)]
    return Report(
        taken=tuple(name for name, status, _ in told if status == 200),
        refused={name: why for name, status, why in told if status in REFUSALS},
        unreachable={name: why for name, status, why in told if status != 200 and status not in REFUSALS},
    )


def _each(pods: Sequence[Address], ask: Callable[[Address, urllib3.PoolManager], Result]) -> list[Result]:
    if not pods:
        return []
    with (
        urllib3.PoolManager(num_pools=2 * len(pods), retries=False) as http,
        ThreadPoolExecutor(min(AT_ONCE, len(pods))) as threads,
    ):
        return list(threads.map(lambda pod: ask(pod, http), pods))


def _look(pod: Address, http: urllib3.PoolManager, model: str, token: str) -> Pod:
    scrape, generation, problem, asked = Scrape({}, {}), -1, "", _admin(pod)
    try:
        generation = int(_get(http, asked, _bearer(token)).json()["generation"])
        asked = f"http://{_host(pod.ip)}:{pod.port}/metrics"
        # The token lets us in where access is controlled; elsewhere nobody looks at it.
        scrape = parse(_get(http, asked, _bearer(token)).data.decode(), model)
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:  # it will be asked again
        problem = f"{asked}: {error if isinstance(error, Unanswered) else type(error).__name__}"
    return Pod(
        name=pod.name,
        uid=pod.uid,
        started=pod.started,
        rendered=pod.rendered,
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


def _put(pod: Address, http: urllib3.PoolManager, document: Document, token: str) -> tuple[int, str]:
    try:
        answer = http.request("PUT", _admin(pod), json=dict(document), headers=_bearer(token), timeout=PUSH)
    except urllib3.exceptions.HTTPError as error:
        return 0, type(error).__name__
    return answer.status, _sentence(answer)


def _sentence(answer: urllib3.BaseHTTPResponse) -> str:
    """What the pod says is wrong."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}"


def _admin(pod: Address) -> str:
    return f"http://{_host(pod.ip)}:{pod.admin_port}/admin/traffic"


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
