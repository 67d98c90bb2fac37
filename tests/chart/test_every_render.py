"""What must hold for every value set: valid objects, repeatable text, the restricted level, probes, labels."""

from pathlib import Path
from typing import Any

from support.chart import CHART, URI, VALUE_SETS, Render, complaints_of_the_api, mounts, render, run_helm, template

FOREIGN = {"PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor", "HTTPRoute"}
WITH_FOREIGN = {"access", "keda", "keda-prometheus", "keda-to-zero", "monitoring", "network", "pod-monitor", "tls"}
# The volumes of the `restricted` level.
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip


def pods(rendered: Render) -> list[Any]:
    return [rendered.pod, *(item["spec"] for item in rendered.kind("Pod"))]


def containers(pod: Any) -> list[Any]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_lint_is_silent() -> None:
    values = [
        flag for path in VALUE_SETS if path.stem.startswith(("default", "extras")) for flag in ("--values", str(path))
    ]
    result = run_helm("lint", str(CHART), "--strict", *values)
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_renders_are_byte_equal(rendered: Render, value_set: Path) -> None:
    assert rendered.text == template(value_set).stdout


def test_kinds_that_not_every_cluster_has_are_made_only_where_asked_for(rendered: Render, value_set: Path) -> None:
    foreign = FOREIGN & {item["kind"] for item in rendered.objects}
    assert bool(foreign) == (value_set.name.removesuffix("-values.yaml") in WITH_FOREIGN)


def test_the_schemas_of_the_api_allow_every_object_of_every_render() -> None:
    everything = "\n".join(render(path).text for path in VALUE_SETS)
    assert complaints_of_the_api(everything) == ""


def test_the_schemas_would_notice_a_wrong_field_and_a_wrong_type() -> None:
    text = render(URI).text
    for found, wrong, complaint in (
        ("replicas: 1", "replica: 1", "'replica'"),
        ("replicas: 1", "replicas: one", "replicas"),
    ):
        assert found in text
        assert complaint in complaints_of_the_api(text.replace(found, wrong))


def test_every_object_bears_the_standard_labels(rendered: Render) -> None:
    for item in rendered.objects:
        labels = item["metadata"]["labels"]
        if labels == {"owner": "growth"}:  # of `extraObjects`, which are as given
            continue
        assert labels["app.kubernetes.io/instance"] == "first"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("model-service-")


def test_selectors_match_the_pods_and_not_the_test_pod(rendered: Render) -> None:
    deployment = rendered.one("Deployment")["spec"]
    selector = deployment["selector"]["matchLabels"]
    assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert rendered.one("Service")["spec"]["selector"] == selector
    assert selector.items() <= deployment["template"]["metadata"]["labels"].items()
    assert not selector.items() <= rendered.one("Pod")["metadata"]["labels"].items()


def test_pods_keep_to_the_restricted_level(rendered: Render) -> None:
    for pod in pods(rendered):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["securityContext"].get("runAsUser") != 0
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all(len(volume.keys() & VOLUMES) == 1 for volume in pod.get("volumes", []))
        assert "fsGroup" not in pod["securityContext"] or pod["securityContext"]["fsGroup"] != 0
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in context
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_no_pod_carries_an_api_token_or_service_links(rendered: Render) -> None:
    for pod in pods(rendered):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
    for account in rendered.kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_all_three_probes_have_their_own_time_out(rendered: Render) -> None:
    service = rendered.service
    paths = {"startupProbe": "/health", "readinessProbe": "/health", "livenessProbe": "/health/live"}
    for probe, path in paths.items():
        assert service[probe]["httpGet"].items() >= {"path": path, "port": "http"}.items()
        assert service[probe]["timeoutSeconds"] >= 1


def test_resources_are_stated_for_every_container(rendered: Render) -> None:
    for pod in pods(rendered):
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


def test_no_container_but_the_fetcher_writes_the_model(rendered: Render, value_set: Path) -> None:
    of_service = [mount for path, mount in mounts(rendered.service).items() if path.startswith("/mnt/models")]
    if value_set.name == "baked-values.yaml":
        assert of_service == []
    elif value_set.name == "claim-values.yaml":  # whose values ask for it
        assert [mount.get("readOnly", False) for mount in of_service] == [False]
    else:
        assert [mount.get("readOnly", False) for mount in of_service] == [True]


def test_every_mount_has_its_volume(rendered: Render) -> None:
    pod = rendered.pod
    mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
    assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_a_rollout_never_takes_a_good_pod_away(rendered: Render) -> None:
    deployment = rendered.one("Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert deployment["progressDeadlineSeconds"] >= 600


def test_both_containers_fail_with_their_reason_in_the_status(rendered: Render) -> None:
    named = [container for container in containers(rendered.pod) if container["name"] in {"fetch", "service"}]
    assert {container["terminationMessagePolicy"] for container in named} == {"FallbackToLogsOnError"}
