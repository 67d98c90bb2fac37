"""The development profile of skaffold.yaml, as helm gets it: changed code that is copied into the pod is served."""

import json
from typing import Any

import urllib3
import yaml
from support.chart import merged
from support.cluster import REPO, Namespace, run, wait_for

from model_artifact import __version__

CONFIG = yaml.safe_load((REPO / "skaffold.yaml").read_text())
# What skaffold's file sync does: `tar` in the container, into the folder that the profile makes writable.
CHANGE = """
import pathlib
path = pathlib.Path("/opt/modelport/code/model_service/api/health.py")
path.write_text(path.read_text().replace('"model_loaded"', '"changed_by_hand"'))
"""


def values() -> dict[str, Any]:
    """Values of the development profile, with the images' own tags."""
    (release,) = CONFIG["deploy"]["helm"]["releases"]
    (dev,) = [profile for profile in CONFIG["profiles"] if profile["name"] == "dev"]
    added = [patch["value"] for patch in dev["patches"] if patch["path"].endswith("/valuesFiles/-")]
    files = [yaml.safe_load((REPO / path).read_text()) for path in (*release["valuesFiles"], *added)]
    return merged(*files, {"image": {"tag": __version__}, "initContainer": {"image": {"tag": __version__}}})


def test_changed_code_is_served_without_a_new_image(models_namespace: Namespace) -> None:
    models = models_namespace
    context = run("kubectl", "config", "current-context").strip()
    for hook in CONFIG["deploy"]["helm"]["hooks"]["before"]:
        command = hook["host"]["command"]
        run("env", "--chdir", str(REPO), f"SKAFFOLD_KUBE_CONTEXT={context}", *command)
    models.helm("install", "model-service", values(), "--wait", "--timeout=120s")
    (pod,) = models.ready_pods("model-service")

    def health() -> Any:
        return json.loads(urllib3.request("GET", f"{models.url('model-service')}/health").data)

    assert health()["model_loaded"] is True
    models.execute(pod, "import tarfile, shutil; assert shutil.which('tar')")
    models.execute(pod, CHANGE)
    seconds = wait_for(lambda: "changed_by_hand" in _quietly(health), "the changed code", patience=60)
    print(f"\nfigure: changed code served after {seconds:.1f} s, in the same pod {pod}")
    assert models.ready_pods("model-service") == [pod]


def _quietly(ask: Any) -> Any:
    """An answer, or nothing while the service loads its code again."""
    try:
        return ask()
    except (urllib3.exceptions.HTTPError, ValueError):
        return {}
