"""k8s/: written from the chart, valid, and what kustomize makes of an overlay is what the chart makes of its values."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.chart import REPO, complaints_of_the_api, merged, program, render

from model_artifact.bundle import verify

K8S = REPO / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
ADDONS = sorted(path.parent.name for path in K8S.glob("addons/*/kustomization.yaml"))
OF_HELM = {"app.kubernetes.io/managed-by", "helm.sh/chart"}


def kustomize(folder: Path) -> str:
    result = subprocess.run([program("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def values(*places: str) -> dict[str, Any]:
    """Values of the base and of the places, as one."""
    return merged(*(yaml.safe_load((K8S / place / "values.yaml").read_text()) for place in ("base", *places)))


def with_addons(folder: Path, *addons: str) -> str:
    """What kustomize makes of the minikube overlay with addons."""
    shutil.copytree(K8S, folder / "k8s")
    overlay = folder / "k8s" / "overlays" / "minikube" / "kustomization.yaml"
    lines = "".join(f"  - ../../addons/{name}\n" for name in addons)
    overlay.write_text(f"{overlay.read_text()}components:\n{lines}")
    return kustomize(overlay.parent)


def by_name(text: str) -> dict[tuple[str, str], Any]:
    """Objects by kind and name, with what differs by design between helm and kustomize evened out."""
    objects = {}
    for item in yaml.safe_load_all(text):
        metadata = item["metadata"]
        metadata.pop("namespace", None)
        metadata["labels"] = {key: told for key, told in metadata.get("labels", {}).items() if key not in OF_HELM}
        if item["kind"] == "ConfigMap" and all(name.startswith("MODELPORT_") for name in item["data"]):
            metadata["name"], metadata["labels"] = "model-service", {}  # kustomize puts a hash of the data behind it
        if item["kind"] == "Deployment":
            _even_out(item["spec"]["template"])
        objects[item["kind"], metadata["name"]] = item
    return objects


def _even_out(template: Any) -> None:
    template["metadata"]["annotations"].pop("checksum/config", None)
    for container in [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]:
        container["env"].sort(key=lambda item: item["name"])
        container["volumeMounts"].sort(key=lambda item: item["mountPath"])
        for source in container.get("envFrom", []):
            source["configMapRef"]["name"] = "model-service"
    template["spec"]["volumes"].sort(key=lambda item: item["name"])


def from_chart(*places: str) -> dict[tuple[str, str], Any]:
    return by_name(render(values(*places), "--no-hooks", release="model-service").text)


def test_the_files_are_what_the_script_writes() -> None:
    command = [sys.executable, str(REPO / "scripts" / "k8s_manifests.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_base_is_the_chart() -> None:
    made = by_name(kustomize(K8S / "base"))
    del made["Namespace", "models"]
    assert made == from_chart()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_the_chart_with_its_values(overlay: str) -> None:
    made = by_name(kustomize(K8S / "overlays" / overlay))
    del made["Namespace", "models"]
    made.pop(("ConfigMap", "first-model"), None)
    images = {
        image["name"]: f"{image['newName']}:{image['newTag']}"
        for image in yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text()).get("images", [])
    }
    wanted = from_chart(f"overlays/{overlay}")
    pod = wanted["Deployment", "model-service"]["spec"]["template"]["spec"]
    for container in [*pod["containers"], *pod["initContainers"]]:
        container["image"] = images.get(container["image"].partition(":")[0], container["image"])
    assert made == wanted


@pytest.mark.parametrize("addon", ADDONS)
def test_an_addon_makes_of_an_overlay_what_its_values_make_of_the_chart(addon: str, tmp_path: Path) -> None:
    made = by_name(with_addons(tmp_path, addon))
    wanted = from_chart("overlays/minikube", f"addons/{addon}")
    assert {name: made[name] for name in wanted} == wanted


def test_everything_is_valid(tmp_path: Path) -> None:
    everything = [with_addons(tmp_path, *ADDONS), *(kustomize(K8S / "overlays" / name) for name in OVERLAYS)]
    assert complaints_of_the_api("---\n".join(everything)) == ""


def test_the_first_model_is_whole_and_its_digest_is_pinned() -> None:
    bundle = verify(K8S / "first-model" / "iris", None)
    assert values("overlays/minikube")["model"]["digest"] == bundle.digest
    generator = yaml.safe_load((K8S / "first-model" / "kustomization.yaml").read_text())["configMapGenerator"]
    shipped = {Path(path).name for path in generator[0]["files"]}
    assert shipped == {path.name for path in (K8S / "first-model" / "iris").iterdir()}


def test_the_namespace_enforces_the_restricted_level() -> None:
    namespace = by_name(kustomize(K8S / "base"))["Namespace", "models"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
