"""The operator in a namespace of its own making, and ModelDeployments as a person handles them."""

from dataclasses import dataclass
from typing import Any

from model_artifact import __version__
from support.cluster import REPO, Namespace, run, wait_for

CHART = REPO / "charts" / "model-operator"
CRD = REPO / "k8s" / "crd" / "modeldeployments.yaml"


def install_definition() -> None:
    """The custom resource definition, shared by every test on the cluster."""
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CRD))
    run("kubectl", "wait", "--for=condition=Established", "crd/modeldeployments.modelport.dev", "--timeout=30s")


@dataclass(frozen=True)
class Operator:
    """A release of the operator's chart that looks after its own namespace alone."""

    namespace: Namespace
    release: str = "keeper"

    def install(self, **values: Any) -> None:
        """Install it, and wait until it answers."""
        install_definition()
        given = {
            "watchNamespaces": [self.namespace.name],
            "crds": {"install": False},
            "fullnameOverride": f"{self.release}-{self.namespace.name}",
            "image": {"tag": __version__, "pullPolicy": "IfNotPresent"},
            "logLevel": "info",
        } | values
        self.namespace.helm("upgrade", self.release, given, "--install", "--wait", "--timeout=90s", chart=CHART)

    def uninstall(self) -> None:
        """Take it away; what it made stays."""
        self.namespace.helm("uninstall", self.release, None, "--wait")

    def kill(self) -> None:
        """End its process at once, as a node that is lost would."""
        selector = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/name=model-operator"
        self.namespace.kubectl("delete", "pod", "--selector", selector, "--grace-period=0", "--force")

    def log(self) -> str:
        """What it has logged."""
        return self.namespace.kubectl("logs", f"deployment/{self.release}-{self.namespace.name}", check=False)


@dataclass(frozen=True)
class Models:
    """The ModelDeployments of a namespace."""

    namespace: Namespace

    def apply(self, name: str, spec: dict[str, Any], **annotations: str) -> None:
        """Create or change one."""
        self.namespace.apply(resource(name, spec, **annotations))

    def get(self, name: str) -> Any:
        """The resource."""
        return self.namespace.get("modeldeployment", name)

    def status(self, name: str) -> dict[str, Any]:
        """Its status; empty at first."""
        status: dict[str, Any] = self.get(name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; empty texts where there is none."""
        found = {each["type"]: each for each in self.status(name).get("conditions", [])}.get(kind, {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    def settled(self, name: str) -> bool:
        """Whether the operator has seen the latest spec, and every pod is as it asks."""
        resource = self.get(name)
        status = resource.get("status", {})
        current = status.get("observedGeneration") == resource["metadata"]["generation"]
        return current and self.condition(name, "Progressing")[1] == "Complete"

    def wait(self, name: str, patience: float = 120) -> float:
        """Seconds until it is settled."""
        return wait_for(lambda: self.settled(name), f"{name} to settle: {self.status(name)}", patience)

    def pods(self, name: str) -> list[Any]:
        """Its pods that are not going away."""
        items = self.namespace.get("pods", "-l", f"modelport.dev/deployment={name}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def delete(self, name: str) -> None:
        """Delete one, and wait for its pods to go."""
        self.namespace.kubectl("delete", "modeldeployment", name, "--wait")
        wait_for(lambda: not self.pods(name), f"the pods of {name} to go")


def resource(name: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    """A ModelDeployment."""
    meta = {"name": name, "annotations": {f"modelport.dev/{key}": text for key, text in annotations.items()}}
    return {"apiVersion": "modelport.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "spec": spec}
