"""A node without a machine: kwok plays its kubelet, so that many pods become ready and none of them runs.

What asks those pods by their address gets the answers of one real pod.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.chart import program
from support.cluster import REPO, run, wait_for

NODE = "modelport-kwok"
TAINT = {"key": "kwok.x-k8s.io/node", "value": NODE, "effect": "NoSchedule"}
SCHEDULING = {"nodeSelector": {"kubernetes.io/hostname": NODE}, "tolerations": [TAINT]}
"""What a pod must say to go there."""

_CONDITION = '- {{type: {kind}, status: "True", lastTransitionTime: {{{{ Now | Quote }}}}}}'
_INITIALIZED, _READY, _CONTAINERS_READY = (
    _CONDITION.format(kind=kind) for kind in ("Initialized", "Ready", "ContainersReady")
)
_NODE_STATUS = """
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ Now | Quote }}
{{ end }}
allocatable: {cpu: 1k, memory: 1Ti, pods: 1k}
capacity: {cpu: 1k, memory: 1Ti, pods: 1k}
"""
_POD_STATUS = f"""
phase: Running
startTime: {{{{ Now | Quote }}}}
podIP: ADDRESS
podIPs: [{{ip: ADDRESS}}]
conditions:
{_INITIALIZED}
{_READY}
{_CONTAINERS_READY}
initContainerStatuses:
{{{{ range .spec.initContainers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: true
  restartCount: 0
  state: {{terminated: {{exitCode: 0, reason: Completed}}}}
{{{{ end }}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: ""
  ready: true
  restartCount: 0
  state: {{running: {{startedAt: {{{{ Now | Quote }}}}}}}}
{{{{ end }}}}
"""
_IS_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_ENDING = ".metadata.deletionTimestamp"


@contextmanager
def fake_node(folder: Path, address: str) -> Iterator[None]:
    """A node whose pods are ready as soon as they are there.

    Args:
        folder: for kwok's configuration and log.
        address: of the real pod that answers in place of all of them.
    """
    run(str(REPO / "scripts" / "cluster" / "build.sh"), "kwok")
    config, log = folder / "kwok.yaml", folder / "kwok.log"
    config.write_text("\n---\n".join(map(json.dumps, _stages(address))))
    command = [program("kwok"), "--kubeconfig", os.environ["KUBECONFIG"], "--config", str(config)]
    meta = {"name": NODE, "labels": SCHEDULING["nodeSelector"]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": [TAINT]}}
    run("kubectl", "apply", "--filename=-", text=json.dumps(node))
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--manage-single-node", NODE], stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: _ready() or process.poll() is not None, "the node", 30)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        run("kubectl", "delete", "node", NODE)
        process.terminate()
        process.wait()


def _ready() -> bool:
    told = json.loads(run("kubectl", "get", "node", NODE, "--output=json"))["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in told)


def _stages(address: str) -> list[dict[str, Any]]:
    unready = {"key": _IS_READY, "operator": "NotIn", "values": ["True"]}
    staying, ending = ({"key": _ENDING, "operator": operator} for operator in ("DoesNotExist", "Exists"))
    return [
        _stage("node-ready", "Node", [unready], {"statusTemplate": _NODE_STATUS}),
        _stage("pod-ready", "Pod", [unready, staying], {"statusTemplate": _POD_STATUS.replace("ADDRESS", address)}),
        _stage("pod-gone", "Pod", [ending], {"delete": True}),
    ]


def _stage(name: str, kind: str, when: list[Any], then: dict[str, Any]) -> dict[str, Any]:
    spec = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": when}, "next": then}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}
