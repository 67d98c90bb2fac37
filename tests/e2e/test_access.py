"""Who may ask, and how often, on a cluster: keys that rotate, tokens of an issuer, roles, limits over two pods."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from support.access import AUDIENCE, Issuer, key_entry
from support.cluster import Bucket, Namespace, wait_for
from support.helpers import helper, redis_image

from model_artifact import __version__

QUOTA = 40
REFUSED = {401, 429}
"""Who goes on with a wrong key is locked out."""
KEYS = {name: f"mp_{secrets.token_urlsafe(32)}" for name in ("ann", "carl", "dora", "scraper", "old", "new", "late")}


def entries(*names: str) -> str:
    """The Secret's list of keys."""
    elsewhere = {"models": ["other"]}
    more: dict[str, Any] = {"scraper": {"roles": ["metrics"]}, "old": elsewhere, "new": elsewhere}
    return json.dumps([key_entry(name, KEYS[name], **({"roles": ["predict"]} | more.get(name, {}))) for name in names])


@dataclass(frozen=True)
class Guarded:
    """A release that asks for credentials.

    Attributes:
        namespace: where it is.
        row: that it predicts.
        issuer: signs tokens that it takes.
    """

    namespace: Namespace
    row: Any
    issuer: Issuer

    def get(self, path: str, **headers: str) -> int:
        return self._ask("GET", path, headers)

    def predict(self, **headers: str) -> int:
        return self._ask("POST", "/predict", headers, json=self.row)

    def keyed(self, name: str) -> int:
        return self.predict(**{"x-api-key": KEYS[name]})

    def _ask(self, method: str, path: str, headers: Any, **options: Any) -> int:
        """Over a connection of its own, so that any pod may get it."""
        url = f"{self.namespace.url('guarded')}{path}"
        with urllib3.PoolManager(retries=False, timeout=30) as pool:
            status: int = pool.request(method, url, headers=headers, **options).status
        return status

    def gauge(self, name: str) -> list[float]:
        """A metric of each pod."""
        lines = [self.namespace.raw(pod, "/metrics") for pod in self.namespace.ready_pods("guarded")]
        return [float(line.split()[-1]) for text in lines for line in text.splitlines() if line.startswith(f"{name} ")]

    def told(self) -> str:
        """What the pods logged about limits."""
        pods = self.namespace.ready_pods("guarded")
        lines = [line for pod in pods for line in self.namespace.kubectl("logs", pod).splitlines()]
        return "\n".join(line for line in lines if "model_service.limits" in line)

    def restarts(self) -> dict[str, int]:
        pods = self.namespace.pods("guarded")
        return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods}

    def secret(self, *names: str) -> None:
        """Let these keys in, and no others."""
        data = {"keys.yaml": entries(*names)}
        self.namespace.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": data},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ann"}, "stringData": {"key": KEYS["ann"]}},
        )


@pytest.fixture(scope="module")
def redis(namespace: Namespace) -> None:
    password = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    data = {"password": secrets.token_urlsafe(16)}
    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}, "stringData": data})
    arguments = ["redis-server", "--save", "", "--requirepass", "$(PASSWORD)", "--dir", "/tmp"]
    namespace.apply(*helper("redis", redis_image(namespace.name), 6379, arguments, env=[password]))


@pytest.fixture(scope="module")
def issuer(namespace: Namespace) -> Issuer:
    """Its documents are served in the cluster; its tokens are signed here."""
    found = Issuer(f"http://issuer.{namespace.name}.svc:8080")
    found.add("first")
    files = {"keys": "/keys", "openid-configuration": "/.well-known/openid-configuration"}
    data = {key: json.dumps(found.answer(path)) for key, path in files.items()}
    items = [{"key": key, "path": path.removeprefix("/")} for key, path in files.items()]
    volume = {"name": "documents", "configMap": {"name": "issuer", "items": items}}
    command = ["python", "-m", "http.server", "8080", "--directory", "/srv/documents"]
    image = f"modelport/init-container:{__version__}"
    namespace.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "issuer"}, "data": data},
        *helper("issuer", image, 8080, command, volumes={"/srv/documents": volume}),
    )
    return found


@pytest.fixture(scope="module")
def guarded(
    namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any, issuer: Issuer,
    redis: None,
) -> Iterator[Guarded]:  # fmt: skip
    release = Guarded(namespace, row, issuer)
    bundle = packed("1")
    release.secret("ann", "carl", "dora", "scraper", "old")
    access = {"jwt_issuer": issuer.url, "jwt_audience": AUDIENCE, "open_metrics": True}
    limits = {"rules": [{"per": "key", "rate": f"{QUOTA}/day"}], "redis_url": "redis://redis:6379"}
    given = values(
        bucket.upload(bundle.path, "guarded/1"),
        bundle.digest,
        replicaCount=2,
        config={"access": access, "limits": limits | {"redis_timeout_ms": 5000}, "workers": 2},
        access={"keys": {"existingSecret": "keys"}},
        limits={"redisPassword": {"existingSecret": "redis"}},
        test={"apiKey": {"existingSecret": "ann"}},
    )
    namespace.helm("install", "guarded", given)
    wait_for(lambda: len(namespace.ready_pods("guarded")) == 2, "two ready pods")
    yield release
    namespace.helm("uninstall", "guarded")


def test_only_who_shows_a_key_is_answered(guarded: Guarded) -> None:
    assert guarded.get("/health") == 200
    assert guarded.predict() == 401
    assert guarded.get("/docs") == 401
    assert guarded.keyed("ann") == 200
    assert guarded.predict(authorization=f"Bearer {KEYS['ann']}") == 200
    assert guarded.predict(**{"x-api-key": "mp_wrong"}) == 401
    assert guarded.keyed("scraper") == 403
    assert guarded.keyed("old") == 403
    assert "Succeeded" in guarded.namespace.helm("test", "guarded")


def test_tokens_of_the_issuer_are_taken(guarded: Guarded) -> None:
    def shown(**claims: Any) -> int:
        return guarded.predict(authorization=f"Bearer {guarded.issuer.token('first', **claims)}")

    stranger = Issuer(guarded.issuer.url)
    stranger.add("first")
    assert shown() == 200
    assert shown(roles=["metrics"]) == 403
    assert shown(exp=1) == 401
    assert shown(aud="somebody else") == 401
    assert guarded.predict(authorization=f"Bearer {stranger.token('first')}") == 401


def test_a_secret_that_changes_is_taken_up_without_a_restart(guarded: Guarded) -> None:
    """`old` and `new` are for another model: a 403 says that they are known, and no limit counts it."""
    before = guarded.restarts()
    assert (guarded.keyed("old"), guarded.keyed("new"), guarded.keyed("late")) == (403, 401, 401)
    guarded.secret("ann", "carl", "dora", "new", "late")
    # Every pod has its own copy of the Secret: several in a row must agree.
    seconds = wait_for(lambda: {guarded.keyed("new") for _ in range(6)} == {403}, "the new key", patience=180)
    print(f"\nfigure: a changed Secret of keys is taken up after {seconds:.0f} s")
    wait_for(lambda: {guarded.keyed("old") for _ in range(6)} <= REFUSED, "the end of the old key", patience=60)
    assert guarded.keyed("late") == 200
    assert guarded.restarts() == before
    assert set(before.values()) == {0}


def test_two_pods_count_together_and_alone_while_there_is_no_redis(guarded: Guarded) -> None:
    def ask(name: str, times: int) -> "Counter[int]":
        with ThreadPoolExecutor(8) as pool:
            return Counter(pool.map(lambda _: guarded.keyed(name), range(times)))

    wait_for(lambda: guarded.gauge("rate_limit_fallback") == [0.0, 0.0], "both pods to count together", patience=60)
    assert ask("carl", 3 * QUOTA) == {200: QUOTA, 429: 2 * QUOTA}, guarded.told()
    guarded.namespace.kubectl("scale", "deployment", "redis", "--replicas=0")
    guarded.namespace.kubectl("wait", "pod", "--for=delete", "--selector=app=redis", "--timeout=60s")
    alone = ask("dora", 4 * QUOTA)
    assert set(alone) <= {200, 429}
    assert QUOTA <= alone[200] <= 2 * QUOTA, "each pod counts on its own"
    assert max(guarded.gauge("rate_limit_fallback")) == 1.0
    guarded.namespace.kubectl("scale", "deployment", "redis", "--replicas=1")
    wait_for(lambda: guarded.gauge("rate_limit_fallback") == [0.0, 0.0], "the Redis to be found", patience=120)
    assert ask("carl", 5)[200] > 0, "it has forgotten what was counted before"
