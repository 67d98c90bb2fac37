"""Progressive rollouts under load: good candidates get everything, bad ones are stopped, and pods stay."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.cluster import Bucket, Namespace, wait_for
from support.load import Load
from support.operator import Models, Operator

from modelport import pack

NAME = "cancer"
MODELPORT = str(Path(sys.executable).with_name("modelport"))
STEPS = [{"weight": weight, "pauseSeconds": 5} for weight in (20, 50, 100)]
AFTER_SECONDS = 4
"""A spoilt candidate behaves until it is proven, and for this long after it was loaded."""
SPOILT = """
import time
LOADED = time.monotonic()

def postprocess(answers):
    if time.monotonic() - LOADED > {after}:
        {deed}
    return answers
"""
ABORT_SECONDS = 10


@pytest.fixture(scope="module")
def operator(namespace: Namespace) -> Iterator[Operator]:
    operator = Operator(namespace, "roller")
    operator.install()
    yield operator
    operator.uninstall()


@pytest.fixture(scope="module")
def models(operator: Operator) -> Models:
    return Models(operator.namespace)


@pytest.fixture(scope="module")
def publish(bucket: Bucket, data: Any, estimator: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Pack and upload a version; gives `spec.model`."""
    folder = tmp_path_factory.mktemp("progressive")

    def make(version: str, deed: str = "", flipped: bool = False) -> dict[str, str]:
        hooks = folder / f"hooks-{version}.py"
        hooks.write_text(SPOILT.format(after=AFTER_SECONDS, deed=deed))
        other = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, 1 - data.target)
        model = other if flipped else estimator
        extra = {"hooks": hooks} if deed else {}
        bundle = pack(model, data.data, name=NAME, version=version, destination=folder, formats=["onnx"], **extra)
        uri = bucket.upload(bundle.path, f"progressive/{version}")
        return {"uri": uri, "digest": bundle.digest, "name": NAME, "version": version}

    return make


@pytest.fixture
def spec(values: Any) -> Callable[..., dict[str, Any]]:
    """`spec` of a ModelDeployment; keywords go to the analysis."""

    def make(model: dict[str, str], **analysis: Any) -> dict[str, Any]:
        given = values(model["uri"])
        own = {field: given.pop(field) for field in ("model", "image", "resources")} | {"model": model}
        own["image"] = {"repository": "modelport/service"} | own["image"]
        rollout = {"steps": STEPS, "analysis": {"minRequests": 20} | analysis}
        return own | {"replicas": 2, "rollout": rollout, "values": given | {"config": {"allow_pickle": True}}}

    return make


def rollout(models: Models) -> dict[str, Any]:
    found: dict[str, Any] = models.status(NAME).get("rollout", {})
    return found


def reached(models: Models, *stages: str, step: int = 0) -> None:
    """Wait for a stage of the rollout."""
    wait_for(
        lambda: (now := rollout(models)).get("stage") in stages and now["step"] >= step,
        f"{stages}, not {rollout(models).get('stage')}: {rollout(models).get('message')}",
    )


def uids(models: Models) -> set[str]:
    return {pod["metadata"]["uid"] for pod in models.pods(NAME)}


def modelport(namespace: Namespace, action: str, *options: str) -> str:
    command = [MODELPORT, "rollout", action, NAME, "--namespace", namespace.name, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stable(models: Models, publish: Any) -> dict[str, str]:
    found: dict[str, str] = publish("1")
    return found


@pytest.fixture
def load(models: Models, stable: dict[str, str], spec: Any, row: Any) -> Iterator[Load]:
    """A new resource whose version 1 answers 50 requests a second."""
    models.apply(NAME, spec(stable))
    models.wait(NAME)
    load = Load(f"{models.namespace.url(NAME)}/predict", row)
    with load.running():
        wait_for(lambda: load.sent > 50, "the load")
        yield load
    models.delete(NAME)


def test_a_good_candidate_is_promoted_through_every_step_and_nobody_notices(
    models: Models, load: Load, spec: Any, publish: Any
) -> None:
    models.apply(NAME, spec(publish("2"), maxP95Seconds=0.25, maxScoreDifference=0.5))
    reached(models, "Loading", "Stepping")
    pods, started = uids(models), time.monotonic()
    steps = []
    while (now := rollout(models))["stage"] != "Promoted":
        assert now["stage"] in {"Loading", "Stepping"}, now["message"]
        weights = {entry["version"]: entry["weight"] for entry in now["versions"]}
        steps += [weights["2"]] if weights["2"] not in steps[-1:] else []
        time.sleep(0.5)
    seconds = time.monotonic() - started
    time.sleep(3)
    seen = load.versions["1"]
    time.sleep(2)
    print(f"\nfigure: promoted through {steps} % in {seconds:.0f} s, {load.sent} requests, failures {load.failures}")
    assert load.failures == {}
    assert steps[-3:] == [20, 50, 100]
    assert load.versions["1"] == seen, "the old version still answers"
    assert uids(models) == pods
    assert "2        stable" in modelport(models.namespace, "status")


BAD: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "errors": ("3", {"deed": "raise RuntimeError"}, {}, "ErrorRate"),
    "slow": ("4", {"deed": "time.sleep(0.3)"}, {"maxP95Seconds": 0.25}, "P95Seconds"),
    "shift": ("5", {"flipped": True}, {"maxScoreDifference": 0.5}, "ScoreDifference"),
}


@pytest.mark.parametrize(("version", "spoilt", "limits", "reason"), BAD.values(), ids=list(BAD))
def test_a_bad_candidate_is_aborted_within_seconds(
    models: Models, load: Load, spec: Any, publish: Any, version: str, spoilt: Any, limits: Any, reason: str
) -> None:
    models.apply(NAME, spec(publish(version, **spoilt), **limits))
    reached(models, "Stepping")
    pods = uids(models)
    enough = {"errors": 1, "slow": 20, "shift": 200}[next(name for name, case in BAD.items() if case[0] == version)]
    bad = lambda: load.versions[version] + sum(load.failures.values())  # noqa: E731
    wait_for(lambda: bad() >= enough or rollout(models)["stage"] == "Aborted", "answers that show it")
    crossed, counted, last = time.monotonic(), bad(), time.monotonic()
    while time.monotonic() - last < 4:
        if bad() != counted:
            counted, last = bad(), time.monotonic()
        time.sleep(0.05)
    seconds = max(0.0, last - crossed)
    print(f"\nfigure: {reason}: {seconds:.1f} s to 100 % stable, {counted} of {load.sent} answers were the candidate's")
    reached(models, "Aborted")
    now = rollout(models)
    assert now["reason"] == reason, now["message"]
    assert seconds < ABORT_SECONDS
    assert uids(models) == pods
    assert models.condition(NAME, "Degraded")[:2] == ("True", reason)


def test_a_shadow_that_answers_otherwise_is_aborted_before_anybody_sees_an_answer(
    models: Models, load: Load, spec: Any, publish: Any
) -> None:
    shadow = {"seconds": 5, "minRequests": 50, "maxDisagreement": 0.1}
    models.apply(NAME, spec(publish("9", flipped=True)) | {"shadow": shadow})
    reached(models, "Shadowing")
    pods = uids(models)
    reached(models, "Aborted")
    print(f"\nfigure: shadow: {rollout(models)['message']}; {load.sent} requests, failures {load.failures}")
    assert rollout(models)["reason"] == "Disagreement"
    assert (load.versions["9"], load.failures) == (0, {})
    assert uids(models) == pods


def test_people_pause_resume_promote_and_abort(models: Models, load: Load, spec: Any, publish: Any) -> None:
    models.apply(NAME, spec(publish("6")))
    reached(models, "Stepping")
    pods, namespace = uids(models), models.namespace
    assert "Paused" in modelport(namespace, "pause")
    time.sleep(8)
    assert (rollout(models)["stage"], rollout(models)["step"]) == ("Paused", 0)
    assert "Stepping" in modelport(namespace, "resume")
    assert "Aborted (Requested)" in modelport(namespace, "abort")
    assert "Preparing" in (told := modelport(namespace, "resume")) or "Loading" in told
    reached(models, "Stepping")
    assert "Promoted" in modelport(namespace, "promote", "--watch")
    shown = json.loads(modelport(namespace, "status", "--json"))
    assert (shown["stable"], shown["stage"]) == ("6", "Promoted")
    assert uids(models) == pods
    assert load.failures == {}


@pytest.mark.parametrize("deed", ["", "raise RuntimeError"], ids=["good", "bad"])
def test_an_operator_killed_at_every_step_ends_where_one_that_lives_does(
    operator: Operator, models: Models, load: Load, spec: Any, publish: Any, deed: str
) -> None:
    version = "8" if deed else "7"
    models.apply(NAME, spec(publish(version, deed=deed)))
    killed = []
    for stage, step in [("Preparing", 0), ("Stepping", 0)] + ([] if deed else [("Stepping", 1), ("Stepping", 2)]):
        reached(models, stage, *(["Aborted"] if deed else ["Promoted"]), step=step)
        killed.append(rollout(models)["stage"])
        operator.kill()
    reached(models, "Aborted" if deed else "Promoted")
    print(f"\nfigure: killed at {killed}: {rollout(models)['stage']}, stable {rollout(models)['stable']}")
    wait_for(lambda: load.sequences and all(seen[-1] != version for seen in load.sequences) == bool(deed), "traffic")
    assert rollout(models)["stable"] == ("1" if deed else "7")
    assert load.failures == {} or deed
