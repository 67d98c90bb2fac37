"""A ModelDeployment in Kubernetes, as a person who rolls out sees it: what its operator says, and what it is asked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from modelport.cli.group import Failure

GROUP, VERSION, PLURAL = "modelport.dev", "v1alpha1", "modeldeployments"
COMMAND = f"{GROUP}/rollout"
"""Annotation: `ACTION[:VERSION][@ID]`."""
REASONS = {
    403: "you may not: it takes the verbs get and patch on modeldeployments.modelport.dev",
    404: "it is not there: kubectl get md --all-namespaces lists all",
}


class Deployment:
    """One resource.

    Args:
        name: of the ModelDeployment.
        namespace: the one of the current context when left out.

    Raises:
        Failure: no cluster is configured.
    """

    def __init__(self, name: str, namespace: str | None) -> None:
        try:
            config.load_config()
        except ConfigException as error:
            raise Failure(f"no cluster is configured: {error}; set KUBECONFIG") from error
        self._namespace, self._name = namespace or _of_context(), name
        self._api = client.CustomObjectsApi()

    def read(self) -> Mapping[str, Any]:
        """The resource as it is now.

        Raises:
            Failure: it is not there, or the cluster refuses or does not answer.
        """
        with self._explained():
            found: Mapping[str, Any] = self._api.get_namespaced_custom_object(*self._address)
        return found

    def ask(self, command: str) -> None:
        """Write the annotation.

        Raises:
            Failure: it is not there, or the cluster refuses or does not answer.
        """
        with self._explained():
            self._api.patch_namespaced_custom_object(*self._address, {"metadata": {"annotations": {COMMAND: command}}})

    @property
    def _address(self) -> tuple[str, str, str, str, str]:
        return GROUP, VERSION, self._namespace, PLURAL, self._name

    @contextmanager
    def _explained(self) -> Iterator[None]:
        where = f"ModelDeployment {self._name} in the namespace {self._namespace}"
        try:
            yield
        except ApiException as error:
            reason = REASONS.get(error.status, f"the cluster refused: {error.reason} (HTTP {error.status})")
            raise Failure(f"{where}: {reason}") from error
        except HTTPError as error:
            raise Failure(f"{where}: the cluster gave no answer: {error}") from error


def _of_context() -> str:
    try:
        _, current = config.list_kube_config_contexts()
    except ConfigException:  # inside a pod
        return "default"
    return str(current["context"].get("namespace") or "default")
