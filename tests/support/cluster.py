"""kubectl, helm and the bucket, as the end-to-end tests use them."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

REPO = Path(__file__).parents[2]
CHART = REPO / "charts" / "model-service"
PATIENCE = 180.0


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """Run a command; returns its output, fails with its complaint."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, input=text)
    assert result.returncode == 0 or not check, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> float:
    """Poll until `condition` is true; returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience, f"waited {patience:.0f} s for {what}"
        time.sleep(0.5)
    return time.monotonic() - started


@dataclass(frozen=True)
class Namespace:
    """One namespace and the helm releases in it."""

    name: str

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl in this namespace."""
        return run("kubectl", "--namespace", self.name, *arguments, check=check)

    def get(self, *arguments: str) -> Any:
        """`kubectl get ... -o json`, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, release: str) -> list[Any]:
        """Pods of a release that are not going away."""
        items = self.get("pods", "-l", f"app.kubernetes.io/instance={release},app.kubernetes.io/name=model-service")
        return [pod for pod in items["items"] if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, release: str) -> list[str]:
        """Names of the pods that are ready."""
        return [pod["metadata"]["name"] for pod in self.pods(release) if _is_ready(pod)]

    def helm(
        self, verb: str, release: str, values: dict[str, Any] | None = None, *flags: str, chart: Path = CHART
    ) -> str:
        """Install or upgrade a release of the chart with `values`; other verbs take flags alone."""
        given = ["--values", "-"] if values is not None else []
        charts = [str(chart)] if verb in {"install", "upgrade"} else []
        command = ["helm", "--namespace", self.name, verb, release, *charts, *given, *flags]
        return run(*command, text=json.dumps(values))

    def url(self, release: str) -> str:
        """Address of a release's Service, as this machine reaches it: the port of the node."""
        items = self.get("services", "-l", f"app.kubernetes.io/instance={release}")["items"]
        return f"http://{os.environ['CLUSTER_NODE_HOST']}:{items[0]['spec']['ports'][0]['nodePort']}"

    def execute(self, pod: str, code: str) -> str:
        """Run Python in the service's container of a pod; returns what it prints."""
        return self.kubectl("exec", pod, "--container=service", "--", "python", "-c", code)

    def raw(self, pod: str, path: str) -> str:
        """What a pod answers to GET, through the API server."""
        return run("kubectl", "get", "--raw", f"/api/v1/namespaces/{self.name}/pods/{pod}:8000/proxy{path}")

    def messages(self, release: str) -> str:
        """Termination messages of every container of a release's pods."""
        states = [
            state.get("terminated", {}).get("message", "")
            for pod in self.pods(release)
            for kind in ("initContainerStatuses", "containerStatuses")
            for status in pod["status"].get(kind, [])
            for state in (status["state"], status["lastState"])
        ]
        return "\n".join(states)

    def apply(self, *objects: dict[str, Any]) -> None:
        """`kubectl apply` of objects."""
        run("kubectl", "--namespace", self.name, "apply", "--filename=-", text="\n---\n".join(map(json.dumps, objects)))


def _is_ready(pod: Any) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", []))


class Bucket:
    """A bucket of the emulator, through the real client."""

    def __init__(self, name: str) -> None:
        os.environ["STORAGE_EMULATOR_HOST"] = os.environ["CLUSTER_FAKE_GCS_URL"]
        self._bucket = storage.Client("test", AnonymousCredentials()).create_bucket(name)
        self.uri = f"gs://{name}"

    def upload(self, directory: Path, prefix: str) -> str:
        """Upload a bundle; returns its URI."""
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(directory).as_posix()}", path.read_bytes())
        return f"{self.uri}/{prefix}"

    def put(self, key: str, content: bytes) -> None:
        """Write one object."""
        self._bucket.blob(key).upload_from_string(content)

    def delete(self, key: str) -> None:
        """Remove one object."""
        self._bucket.blob(key).delete()
