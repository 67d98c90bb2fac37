"""A candidate that needs another image, under load: two Deployments, one Service, no failed request; pods with TLS."""

import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from support.cluster import Bucket, Namespace, wait_for
from support.images import tagged
from support.load import Load
from support.operator import Models, Operator
from support.rolled import ABORT_SECONDS, STEPS, Rolled, serving, spoilt

from modelport import pack


@pytest.fixture(scope="module")
def operator(namespace: Namespace) -> Iterator[Operator]:
    with Operator(namespace, "imager").installed() as found:
        yield found


@pytest.fixture(scope="module")
def models(operator: Operator) -> Models:
    return Models(operator.namespace)


@pytest.fixture(scope="module")
def other() -> dict[str, str]:
    """An image that differs by name alone."""
    return tagged("other")


@pytest.fixture
def progressive(spec: Any) -> Callable[..., dict[str, Any]]:
    """`spec` of a ModelDeployment with a rollout; keywords are fields of it."""

    def make(model: dict[str, str], **fields: Any) -> dict[str, Any]:
        rollout = {"steps": STEPS, "analysis": {"minRequests": 20}}
        fixed = {"replicas": 2, "rollout": rollout, "values": {"config": {"allow_pickle": True}}}
        given: dict[str, Any] = spec(model, **fixed | fields)
        return given

    return make


@pytest.fixture
def rolled(models: Models, bundles: Any, progressive: Any, row: Any) -> Iterator[Rolled]:
    """A new resource whose version 1 answers requests on new connections, and on kept ones."""
    with serving(models, progressive(bundles["1"]), row, Connection="close") as found:
        yield found


@pytest.fixture
def kept(rolled: Rolled, row: Any) -> Iterator[Load]:
    """Requests on connections that clients keep, beside the others."""
    with Load(rolled.load.url, row, rate=20, connections=4).running() as found:
        yield found


def images(rolled: Rolled) -> dict[str, str]:
    """Of the service, by Deployment."""
    items = rolled.models.namespace.get("deployments", "-l", f"modelport.dev/deployment={rolled.name}")["items"]
    return {
        item["metadata"]["name"].removeprefix(rolled.name): item["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in items
    }


def ended(rolled: Rolled) -> bool:
    return rolled.models.condition(rolled.name, "SeparateDeployments")[0] == "False" and images(rolled).keys() == {""}


def test_a_good_candidate_with_another_image_is_promoted_and_nobody_notices(
    rolled: Rolled, kept: Load, progressive: Any, bundles: Any, other: Any
) -> None:
    before, started, shares = rolled.uids(), time.monotonic(), []
    rolled.apply(progressive(bundles["2"], image=other))
    while (now := rolled.rollout)["stage"] != "Promoted":
        assert now["stage"] in {"Idle", "Preparing", "Stepping", "Promoting"}, now["message"]
        if now["stage"] == "Stepping":
            share = f"{now['versions'][1]['weight']} % for {STEPS[now['step']]['weight']} %"
            shares += [share] if share not in shares else []
            assert before <= rolled.uids(), "a stable pod went before the promotion"
        time.sleep(0.5)
    promoted = time.monotonic() - started
    wait_for(lambda: ended(rolled), "the end of the second Deployment")
    seconds = time.monotonic() - started
    rolled.models.wait(rolled.name)
    seen = rolled.load.versions["1"] + kept.versions["1"]
    time.sleep(3)
    sent, failures = rolled.load.sent + kept.sent, [rolled.load.failures, kept.failures]
    print(f"\nfigure: other image: {shares}, promoted in {promoted:.0f} s, one Deployment again after {seconds:.0f} s")
    print(f"figure: other image: {sent} requests, failures {failures}")
    assert failures == [{}, {}]
    assert images(rolled) == {"": "modelport/service:other"}
    assert rolled.load.versions["1"] + kept.versions["1"] == seen, "the old version still answers"
    assert len(rolled.uids()) == 2


def test_a_bad_candidate_with_another_image_loses_its_traffic_within_seconds(
    rolled: Rolled,
    kept: Load,
    progressive: Any,
    bucket: Bucket,
    estimator: Any,
    data: Any,
    other: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("images")
    hooks = folder / "hooks.py"
    hooks.write_text(spoilt("raise RuntimeError", after=8))
    bundle = pack(estimator, data.data, name="cancer", version="3", destination=folder, formats=["onnx"], hooks=hooks)
    uri = bucket.upload(bundle.path, "images/3")
    before = rolled.uids()
    model = {"uri": uri, "digest": bundle.digest, "name": "cancer", "version": "3"}
    rolled.apply(progressive(model, image=other))
    rolled.reached("Stepping")
    seconds, counted = rolled.seconds_to_stable("3", 1)
    rolled.reached("Aborted")
    wait_for(lambda: ended(rolled), "the end of the second Deployment")
    print(f"\nfigure: other image: {rolled.rollout['reason']}: {seconds:.1f} s to 100 % stable, {counted} answers bad")
    assert rolled.rollout["reason"] == "ErrorRate", rolled.rollout["message"]
    assert seconds < ABORT_SECONDS
    assert rolled.uids() == before


def test_an_operator_killed_at_every_step_ends_with_one_deployment(
    operator: Operator, rolled: Rolled, kept: Load, progressive: Any, bundles: Any, other: Any
) -> None:
    rolled.apply(progressive(bundles["2"], image=other))
    killed = []
    for stage, step in [("Preparing", 0), ("Stepping", 0), ("Stepping", 1), ("Stepping", 2), ("Promoted", 0)]:
        rolled.reached(stage, "Promoted", step=step if stage == "Stepping" else 0)
        killed.append(rolled.rollout["stage"])
        operator.kill()
    wait_for(lambda: ended(rolled), "the end of the second Deployment")
    print(f"\nfigure: other image: killed at {killed}: failures {rolled.load.failures} and {kept.failures}")
    assert images(rolled) == {"": "modelport/service:other"}
    assert (rolled.load.failures, kept.failures) == ({}, {})


def test_a_rollout_of_pods_with_a_certificate(models: Models, progressive: Any, bundles: Any) -> None:
    name, authority, namespace = f"tls-{secrets.token_hex(3)}", trustme.CA(), models.namespace
    certificate = authority.issue_cert(f"{name}.{namespace.name}.svc")
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    files = {"tls.crt": chain, "tls.key": certificate.private_key_pem.bytes()}
    data = {key: b64encode(content).decode() for key, content in files.items()}
    authorities = {"ca.crt": authority.cert_pem.bytes().decode()}
    namespace.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-trust"}, "data": authorities},
    )
    values = {
        "config": {"tls_cert_file": "/etc/tls/tls.crt", "tls_key_file": "/etc/tls/tls.key"},
        "extraVolumes": [{"name": "tls", "secret": {"secretName": name}}],
        "extraVolumeMounts": [{"name": "tls", "mountPath": "/etc/tls", "readOnly": True}],
    }
    steps = {"steps": [{"weight": 50, "pauseSeconds": 2}], "analysis": {"minRequests": 0}}
    fields = {"tls": {"caBundle": {"configMap": f"{name}-trust"}}, "values": values, "rollout": steps}
    models.apply(name, progressive(bundles["1"], **fields))
    models.wait(name)
    assert models.status(name)["digest"] == bundles["1"]["digest"]
    models.apply(name, progressive(bundles["2"], **fields))
    seconds = wait_for(lambda: models.status(name)["rollout"]["stage"] == "Promoted", f"{models.status(name)}")
    print(f"\nfigure: pods with a certificate: promoted in {seconds:.0f} s")
    wait_for(lambda: models.status(name).get("digest") == bundles["2"]["digest"], "the new version")
    assert models.condition(name, "Degraded")[0] == "False"
    models.delete(name)
