"""A release of the version before can be upgraded: its values are taken, and what cannot change does not."""

from pathlib import Path
from typing import Any

import pytest
from support.chart import Render, render, variables

BEFORE = Path(__file__).parent / "releases" / "0.1.0"
PACKAGE = BEFORE / "model-service-0.1.0.tgz"
SETS = sorted(BEFORE.glob("*-values.yaml"))


@pytest.fixture(scope="module", params=SETS, ids=lambda path: path.stem)
def both(request: pytest.FixtureRequest) -> tuple[Render, Render]:
    """What the version before and this one make of the same values."""
    return render(request.param, chart=PACKAGE), render(request.param)


def identity(item: Any) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def test_every_object_of_the_release_is_kept(both: tuple[Render, Render]) -> None:
    old, new = ({identity(item) for item in rendered.objects} for rendered in both)
    assert old <= new


def test_what_kubernetes_lets_nobody_change_is_the_same(both: tuple[Render, Render]) -> None:
    old, new = (rendered.one("Deployment")["spec"] for rendered in both)
    assert new["selector"] == old["selector"]
    old_service, new_service = (rendered.one("Service")["spec"] for rendered in both)
    assert new_service == old_service


def test_settings_keep_their_values(both: tuple[Render, Render]) -> None:
    old, new = (
        rendered.one("ConfigMap")["data"] | variables(rendered.service) | variables(rendered.fetch) for rendered in both
    )
    told = {name: value for name, value in old.items() if name != "OTEL_RESOURCE_ATTRIBUTES"}
    assert {name: new.get(name) for name in told} == told


def test_the_pod_keeps_what_it_had(both: tuple[Render, Render]) -> None:
    old, new = (rendered.pod for rendered in both)
    kept = ("securityContext", "serviceAccountName", "terminationGracePeriodSeconds", "volumes")
    assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    old_service, new_service = (rendered.service for rendered in both)
    kept = ("image", "resources", "securityContext", "volumeMounts", "ports")
    assert {name: new_service[name] for name in kept} == {name: old_service[name] for name in kept}
