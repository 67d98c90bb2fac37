"""What must hold for every value set: valid objects, repeatable text, the restricted level, probes, labels."""

from pathlib import Path
from typing import Any

from support.chart import CHART, Render, render, run_helm

KINDS = {"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Pod", "Service", "ServiceAccount"}


def pods(rendered: Render) -> list[Any]:
    return [rendered.pod, *(item["spec"] for item in rendered.kind("Pod"))]


def containers(pod: Any) -> list[Any]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_lint_is_silent(value_set: Path) -> None:
    result = run_helm("lint", str(CHART), "--strict", "--values", str(value_set))
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_renders_are_byte_equal(rendered: Render, value_set: Path) -> None:
    assert rendered.text == render(value_set).text


def test_only_kinds_that_every_cluster_has(rendered: Render) -> None:
    assert {item["kind"] for item in rendered.objects} <= KINDS


def test_every_object_bears_the_standard_labels(rendered: Render) -> None:
    for item in rendered.objects:
        labels = item["metadata"]["labels"]
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
        assert all(volume.keys() & {"emptyDir", "secret", "configMap"} for volume in pod.get("volumes", []))
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
        assert service[probe]["httpGet"] == {"path": path, "port": "http"}
        assert service[probe]["timeoutSeconds"] >= 1


def test_resources_are_stated_for_every_container(rendered: Render) -> None:
    for pod in pods(rendered):
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]


def test_the_model_volume_is_written_by_the_fetcher_alone(rendered: Render) -> None:
    mounts = [
        next(mount for mount in container["volumeMounts"] if mount["mountPath"] == "/mnt/models")
        for container in (rendered.fetch, rendered.service)
    ]
    assert [mount.get("readOnly", False) for mount in mounts] == [False, True]


def test_every_mount_has_its_volume(rendered: Render) -> None:
    pod = rendered.pod
    mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
    assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_a_rollout_never_takes_a_good_pod_away(rendered: Render) -> None:
    deployment = rendered.one("Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert deployment["progressDeadlineSeconds"] >= 600


def test_the_fetcher_fails_with_its_reason_in_the_status(rendered: Render) -> None:
    assert rendered.fetch["terminationMessagePolicy"] == "FallbackToLogsOnError"
