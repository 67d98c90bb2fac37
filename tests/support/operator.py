"""The operator in a namespace of its own making, and ModelDeployments as a person handles them."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from model_artifact import __version__
from support.cluster import REPO, Namespace, run, wait_for

CHART = REPO / "charts" / "model-operator"
CRD = REPO / "k8s" / "crd" / "modeldeployments.yaml"
LEASE_SECONDS = 6
"""Short, so that tests do not wait long for the next operator."""


def install_definition() -> None:
    """The custom resource definition, shared by every test on the cluster."""
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CRD))
    run("kubectl", "wait", "--for=condition=Established", "crd/modeldeployments.modelport.dev", "--timeout=30s")


@dataclass(frozen=True)
class Operator:
    """A release of the operator's chart that looks after its own namespace alone."""

    namespace: Namespace
    release: str = "keeper"

    @property
    def name(self) -> str:
        """Of its Deployment and its Lease."""
        return f"{self.release}-{self.namespace.name}"

    def install(self, *flags: str, chart: Path = CHART, **values: Any) -> None:
        """Install or upgrade it, and wait until it answers."""
        given: dict[str, Any] = {
            "watchNamespaces": [self.namespace.name],
            "crds": {"install": False},
            "fullnameOverride": self.name,
            "image": {"tag": __version__, "pullPolicy": "IfNotPresent"},
            "leaseSeconds": LEASE_SECONDS,
        } | values
        if not given["crds"]["install"]:
            install_definition()
        wait = ("--install", "--wait", "--timeout=90s")
        self.namespace.helm("upgrade", self.release, given, *wait, *flags, chart=chart)

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Install it, and take it away when the block ends."""
        self.install()
        try:
            yield self
        finally:
            self.uninstall()

    def uninstall(self) -> None:
        """Take it away; what it made stays."""
        self.namespace.helm("uninstall", self.release, None, "--wait")

    def kill(self) -> None:
        """Lose it as with its node: where that is this machine, the process has no time to let go of its Lease."""
        selector = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/name=model-operator"
        for pod in self.namespace.get("pods", "--selector", selector)["items"]:
            for pid in _processes(pod["metadata"]["uid"], b"model_operator"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.namespace.kubectl("delete", "pod", "--selector", selector, "--grace-period=0", "--force")

    def leader(self) -> str:
        """The pod that holds the Lease; empty while nobody does."""
        holder: str = self.namespace.get("lease", self.name)["spec"]["holderIdentity"]
        return holder

    def metrics(self) -> "Samples":
        """Samples of the pod that leads."""
        path = f"/api/v1/namespaces/{self.namespace.name}/pods/{self.leader()}:8080/proxy/metrics"
        return Samples.parse(run("kubectl", "get", "--raw", path))

    def log(self) -> str:
        """What it has logged."""
        return self.namespace.kubectl("logs", f"deployment/{self.name}", check=False)


@dataclass(frozen=True)
class Samples:
    """What an operator has counted: values by name and bucket, over all labels."""

    values: Mapping[tuple[str, str], float]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `/metrics` answers."""
        values: dict[tuple[str, str], float] = defaultdict(float)
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            values[sample.name.removeprefix("modelport_operator_"), sample.labels.get("le", "")] += sample.value
        return cls(values)

    def since(self, before: "Samples") -> "Samples":
        """What was counted after an earlier look."""
        return Samples({key: value - before.values.get(key, 0) for key, value in self.values.items()})

    def total(self, name: str) -> float:
        """Of a metric."""
        return self.values.get((name, ""), 0.0)

    def p99(self, name: str) -> float:
        """The bound of a histogram that 99 of 100 observations are within."""
        enough = 0.99 * self.total(f"{name}_count")
        bounds = {float(le): count for (found, le), count in self.values.items() if found == f"{name}_bucket"}
        return min(bound for bound, within in bounds.items() if within >= enough)


def _processes(pod: str, program: bytes) -> list[int]:
    """Processes of a pod that run a program, where they are those of this machine."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if pod in _read(process / "cgroup").decode() and program in _read(process / "cmdline")
    ]


def _read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


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
        return _condition(self.get(name), kind)

    def settled(self, *names: str) -> bool:
        """Whether the operator has seen their latest spec, and every pod is as it asks."""
        items = self.namespace.get("modeldeployment", *names)
        return all(map(_settled, items.get("items", [items])))

    def wait(self, *names: str, patience: float = 120) -> float:
        """Seconds until they are settled."""
        return wait_for(lambda: self.settled(*names), f"{', '.join(names)} to settle", patience)

    def pods(self, name: str) -> list[Any]:
        """Its pods that are not going away."""
        items = self.namespace.get("pods", "-l", f"modelport.dev/deployment={name}")["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def delete(self, *names: str) -> None:
        """Delete some; what they own follows, nobody waits for it."""
        self.namespace.kubectl("delete", "modeldeployment", *names, "--wait")

    def operate(self, action: str, name: str, *options: str) -> str:
        """`modelport rollout ACTION NAME`; returns what it prints."""
        program = Path(sys.executable).with_name("modelport")
        command = [str(program), "rollout", action, name, "--namespace", self.namespace.name, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _condition(resource: Any, kind: str) -> tuple[str, str, str]:
    found = {each["type"]: each for each in resource.get("status", {}).get("conditions", [])}.get(kind, {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def _settled(resource: Any) -> bool:
    current = resource.get("status", {}).get("observedGeneration") == resource["metadata"]["generation"]
    return current and _condition(resource, "Progressing")[1] == "Complete"


def resource(name: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    """A ModelDeployment."""
    meta = {"name": name, "annotations": {f"modelport.dev/{key}": text for key, text in annotations.items()}}
    return {"apiVersion": "modelport.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "spec": spec}
