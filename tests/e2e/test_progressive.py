"""Progressive rollouts under load: good candidates get everything, bad ones are stopped, and pods stay."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.access import key_entry
from support.cluster import Bucket, Namespace, wait_for
from support.operator import Models, Operator
from support.rolled import ABORT_SECONDS, STEPS, Rolled, serving, spoilt

from modelport import pack


@pytest.fixture(scope="module")
def operator(namespace: Namespace) -> Iterator[Operator]:
    with Operator(namespace, "roller").installed() as found:
        yield found


@pytest.fixture(scope="module")
def models(operator: Operator) -> Models:
    return Models(operator.namespace)


@pytest.fixture(scope="module")
def publish(bucket: Bucket, data: Any, estimator: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Pack and upload a version; gives `spec.model`."""
    folder = tmp_path_factory.mktemp("progressive")

    def make(version: str, deed: str = "", flipped: bool = False) -> dict[str, str]:
        hooks = folder / f"hooks-{version}.py"
        hooks.write_text(spoilt(deed, after=4))
        other = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, 1 - data.target)
        model = other if flipped else estimator
        extra = {"hooks": hooks} if deed else {}
        bundle = pack(model, data.data, name="cancer", version=version, destination=folder, formats=["onnx"], **extra)
        uri = bucket.upload(bundle.path, f"progressive/{version}")
        return {"uri": uri, "digest": bundle.digest, "name": "cancer", "version": version}

    return make


@pytest.fixture
def progressive(spec: Any) -> Callable[..., dict[str, Any]]:
    """`spec` of a ModelDeployment with a rollout; keywords go to the analysis."""

    def make(model: dict[str, str], **analysis: Any) -> dict[str, Any]:
        rollout = {"steps": STEPS, "analysis": {"minRequests": 20} | analysis}
        given: dict[str, Any] = spec(model, replicas=2, rollout=rollout, values={"config": {"allow_pickle": True}})
        return given

    return make


@pytest.fixture(scope="module")
def stable(models: Models, publish: Any) -> dict[str, str]:
    found: dict[str, str] = publish("1")
    return found


@pytest.fixture
def rolled(models: Models, stable: dict[str, str], progressive: Any, row: Any) -> Iterator[Rolled]:
    """A new resource whose version 1 answers."""
    with serving(models, progressive(stable), row) as found:
        yield found


def test_a_good_candidate_is_promoted_through_every_step_and_nobody_notices(
    rolled: Rolled, progressive: Any, publish: Any
) -> None:
    load = rolled.load
    rolled.apply(progressive(publish("2"), maxP95Seconds=0.25, maxScoreDifference=0.5))
    rolled.reached("Loading", "Stepping")
    pods, started = rolled.uids(), time.monotonic()
    shares = rolled.promoted_through("2")
    seconds = time.monotonic() - started
    time.sleep(3)
    seen = load.versions["1"]
    time.sleep(2)
    print(f"\nfigure: promoted through {shares} % in {seconds:.0f} s, {load.sent} requests, failures {load.failures}")
    assert load.failures == {}
    assert shares[-3:] == [20, 50, 100]
    assert load.versions["1"] == seen, "the old version still answers"
    assert rolled.uids() == pods
    assert "2        stable" in rolled.operate("status")


BAD: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, int]] = {
    "errors": ("3", {"deed": "raise RuntimeError"}, {}, "ErrorRate", 1),
    "slow": ("4", {"deed": "time.sleep(0.3)"}, {"maxP95Seconds": 0.25}, "P95Seconds", 20),
    "shift": ("5", {"flipped": True}, {"maxScoreDifference": 0.5}, "ScoreDifference", 200),
}
"""Version, what is wrong with it, the limit, the reason to be told, and how many answers show it."""


@pytest.mark.parametrize(("version", "spoilt", "limits", "reason", "enough"), BAD.values(), ids=BAD)
def test_a_bad_candidate_is_aborted_within_seconds(
    rolled: Rolled, progressive: Any, publish: Any, version: str, spoilt: Any, limits: Any, reason: str, enough: int
) -> None:
    rolled.apply(progressive(publish(version, **spoilt), **limits))
    rolled.reached("Stepping")
    pods = rolled.uids()
    seconds, counted = rolled.seconds_to_stable(version, enough)
    sent = rolled.load.sent
    print(f"\nfigure: {reason}: {seconds:.1f} s to 100 % stable, {counted} of {sent} answers were the candidate's")
    rolled.reached("Aborted")
    now = rolled.rollout
    assert now["reason"] == reason, now["message"]
    assert seconds < ABORT_SECONDS
    assert rolled.uids() == pods
    assert rolled.models.condition(rolled.name, "Degraded")[:2] == ("True", reason)


def test_a_shadow_that_answers_otherwise_is_aborted_before_anybody_sees_an_answer(
    rolled: Rolled, progressive: Any, publish: Any
) -> None:
    shadow = {"seconds": 5, "minRequests": 50, "maxDisagreement": 0.1}
    rolled.apply(progressive(publish("9", flipped=True)) | {"shadow": shadow})
    rolled.reached("Shadowing")
    pods = rolled.uids()
    rolled.reached("Aborted")
    now, load = rolled.rollout, rolled.load
    print(f"\nfigure: shadow: {now['message']}; {load.sent} requests, failures {load.failures}")
    assert now["reason"] == "Disagreement"
    assert (load.versions["9"], load.failures) == (0, {})
    assert rolled.uids() == pods


def test_people_pause_resume_promote_and_abort(rolled: Rolled, progressive: Any, publish: Any) -> None:
    rolled.apply(progressive(publish("6")))
    rolled.reached("Stepping")
    pods = rolled.uids()
    assert "Paused" in rolled.operate("pause")
    time.sleep(8)
    assert (rolled.rollout["stage"], rolled.rollout["step"]) == ("Paused", 0)
    assert "Stepping" in rolled.operate("resume")
    assert "Aborted (Requested)" in rolled.operate("abort")
    assert "Preparing" in (told := rolled.operate("resume")) or "Loading" in told
    rolled.reached("Stepping")
    assert "Promoted" in rolled.operate("promote", "--watch")
    shown = json.loads(rolled.operate("status", "--json"))
    assert (shown["stable"], shown["stage"]) == ("6", "Promoted")
    assert rolled.uids() == pods
    assert rolled.load.failures == {}


@pytest.mark.parametrize("deed", ["", "raise RuntimeError"], ids=["good", "bad"])
def test_an_operator_killed_at_every_step_ends_where_one_that_lives_does(
    operator: Operator, rolled: Rolled, progressive: Any, publish: Any, deed: str
) -> None:
    version, load = "8" if deed else "7", rolled.load
    rolled.apply(progressive(publish(version, deed=deed)))
    killed = []
    for stage, step in [("Preparing", 0), ("Stepping", 0)] + ([] if deed else [("Stepping", 1), ("Stepping", 2)]):
        rolled.reached(stage, *(["Aborted"] if deed else ["Promoted"]), step=step)
        killed.append(rolled.rollout["stage"])
        operator.kill()
    rolled.reached("Aborted" if deed else "Promoted")
    now = rolled.rollout
    print(f"\nfigure: killed at {killed}: {now['stage']}, stable {now['stable']}")
    wait_for(lambda: load.sequences and all(seen[-1] != version for seen in load.sequences) == bool(deed), "traffic")
    assert now["stable"] == ("1" if deed else "7")
    assert load.failures == {} or deed


def test_where_keys_are_asked_for_candidates_are_judged_as_anywhere(
    models: Models, stable: dict[str, str], progressive: Any, publish: Any, row: Any
) -> None:
    key = f"mp_{secrets.token_urlsafe(32)}"
    keys = {"keys.yaml": json.dumps([key_entry("shop", key, roles=["predict"])])}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rolled-keys"}, "stringData": keys}
    models.namespace.apply(secret)
    access = {"access": {"keys": {"existingSecret": "rolled-keys"}}}
    with serving(models, progressive(stable) | access, row, **{"x-api-key": key}) as rolled:
        url = models.namespace.url(rolled.name)
        assert urllib3.request("POST", f"{url}/predict", json=row).status == 401
        assert urllib3.request("GET", f"{url}/metrics", headers={"x-api-key": key}).status == 403
        rolled.apply(progressive(publish("10", deed="raise RuntimeError")) | access)
        rolled.reached("Stepping")
        seconds, counted = rolled.seconds_to_stable("10", 1)
        rolled.reached("Aborted")
        assert rolled.rollout["reason"] == "ErrorRate", rolled.rollout["message"]
        assert seconds < ABORT_SECONDS
        failed = rolled.load.failures
        assert set(failed) <= {"500"}
        rolled.apply(progressive(publish("11"), maxP95Seconds=0.25, maxScoreDifference=0.5) | access)
        rolled.reached("Loading", "Stepping")
        shares = rolled.promoted_through("11")
        commands = [line for pod in models.pods(rolled.name) for line in audited(models.namespace, pod)]
    print(f"\nfigure: behind keys: aborted after {seconds:.1f} s ({counted} bad answers), promoted through {shares} %")
    assert rolled.load.failures == failed
    assert shares[-3:] == [20, 50, 100]
    assert {message for message, _ in commands} == {f"{verb} /admin/traffic: done" for verb in ("GET", "PUT")}
    assert {principal for _, principal in commands} == {"admin-token"}


def audited(namespace: Namespace, pod: Any) -> list[tuple[str, str]]:
    """What a pod has logged of commands: what was done, and by whom."""
    lines = [json.loads(line) for line in namespace.kubectl("logs", pod["metadata"]["name"]).splitlines()]
    return [(line["message"], line["principal"]) for line in lines if line["logger"] == "model_service.audit"]
