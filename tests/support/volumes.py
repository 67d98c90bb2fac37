"""A persistent volume on the node, made and emptied by pods of a namespace without restrictions, claimed in another."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.cluster import Namespace, run, wait_for

PREPARE = "import os; os.chmod('/volume', 0o2770); os.chown('/volume', 0, 10001)"
EMPTY = "import shutil, pathlib; [shutil.rmtree(p) for p in pathlib.Path('/volume').iterdir()]"


@dataclass(frozen=True)
class NodeVolume:
    """A folder of the node, as a volume that the chart's user may write."""

    name: str
    namespace: Namespace
    image: str

    def manifests(self) -> list[dict[str, Any]]:
        """Volume and claim."""
        storage = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        claim = {"name": self.name, "namespace": self.namespace.name}
        spec = {"capacity": {"storage": "1Gi"}, "hostPath": self._host_path(), "claimRef": claim} | storage
        return [
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.name}, "spec": spec},
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": claim,
                "spec": storage | {"resources": {"requests": {"storage": "1Gi"}}, "volumeName": self.name},
            },
        ]

    def run_as_root(self, *command: str, env: dict[str, str] | None = None) -> None:
        """Run a command of the init container's image with the folder at /volume; fails with what it said."""
        outside = Namespace("default")
        pod = f"{self.name}-root"
        container = {
            "name": "root",
            "image": self.image,
            "command": list(command),
            "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
            "securityContext": {"runAsUser": 0, "runAsGroup": 10001},
            "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
        }
        spec = {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "volume", "hostPath": self._host_path()}],
        }
        outside.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": spec})
        ended = {"Succeeded", "Failed"}
        wait_for(lambda: outside.get("pod", pod)["status"]["phase"] in ended, pod, patience=60)
        phase, log = outside.get("pod", pod)["status"]["phase"], outside.kubectl("logs", pod)
        outside.kubectl("delete", "pod", pod)
        assert phase == "Succeeded", log

    def _host_path(self) -> dict[str, str]:
        return {"path": f"/var/lib/modelport-e2e/{self.name}", "type": "DirectoryOrCreate"}


@contextmanager
def node_volume(name: str, namespace: Namespace, image: str) -> Iterator[NodeVolume]:
    """A volume and its claim, taken away at the end."""
    volume = NodeVolume(name, namespace, image)
    volume.run_as_root("python", "-c", PREPARE)
    namespace.apply(*volume.manifests())
    try:
        yield volume
    finally:
        namespace.kubectl("delete", "persistentvolumeclaim", name, "--wait=false")
        run("kubectl", "delete", "persistentvolume", name, "--wait=false")
        volume.run_as_root("python", "-c", EMPTY)
