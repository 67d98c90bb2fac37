"""Write what k8s/ holds besides its kustomization.yaml files, from the chart: the pod is described there alone.

`k8s/base/values.yaml` becomes the base. Every other `values.yaml` below k8s/ stands for base values plus its own, and
becomes only what differs: `resources.yaml` has the objects that are new, `patch.yaml` a strategic merge patch of the
others, `settings.env` the settings. A ConfigMap of settings is left to kustomize, whose hashed names roll the pods.

`k8s/crd` and `k8s/operator` are what the operator's own chart renders with its defaults.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parent.parent
CHART = REPO / "charts" / "model-service"
OPERATOR = REPO / "charts" / "model-operator"
K8S = REPO / "k8s"
RELEASE, NAMESPACE = "model-service", "models"
OF_HELM = {"app.kubernetes.io/managed-by", "helm.sh/chart"}
HEADER = "# Written by scripts/k8s_manifests.py from values.yaml and the chart.\n"
MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
    "ports": "port", "topologySpreadConstraints": "topologyKey",
}  # fmt: skip
"""Kubernetes' own keys of the lists that a strategic merge patch merges; other lists are replaced."""

Objects = dict[tuple[str, str], Any]


def chart_objects(*values: Path) -> Objects:
    """What the chart renders, by kind and name, without what belongs to helm."""
    flags = [flag for path in values for flag in ("--values", str(path))]
    objects = _rendered(RELEASE, CHART, NAMESPACE, *flags)
    for item in objects:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["metadata"]["annotations"].pop("checksum/config")
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def _rendered(release: str, chart: Path, namespace: str, *flags: str) -> list[Any]:
    command = [_helm(), "template", release, str(chart), "--namespace", namespace, "--no-hooks", *flags]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"k8s_manifests.py: {' '.join(command)}: {result.stderr}")
    objects = [item for item in yaml.safe_load_all(result.stdout) if item]
    for item in objects:
        labels = item["metadata"]["labels"]
        item["metadata"]["labels"] = {name: text for name, text in labels.items() if name not in OF_HELM}
    return objects


def operator_manifests() -> dict[Path, str]:
    """The operator with the defaults of its chart, and the definition of its resource."""
    objects = _rendered("modelport", OPERATOR, "modelport-system", "--set", "crds.install=false")
    for item in objects:  # the rest has no namespace, or says it
        if item["kind"] in {"Deployment", "ServiceAccount"}:
            item["metadata"]["namespace"] = "modelport-system"
    text = "# Written by scripts/k8s_manifests.py from charts/model-operator.\n"
    text += yaml.safe_dump_all(objects, sort_keys=False, width=1000)
    definition = OPERATOR / "files" / "modeldeployments.yaml"
    return {
        K8S / "operator" / "resources.yaml": text,
        K8S / "crd" / definition.name: definition.read_text("utf-8"),
    }


def _helm() -> str:
    built = Path.home() / ".cache" / "modelport" / "cluster" / "bin"
    found = shutil.which("helm") or shutil.which("helm", path=str(built))
    return found or sys.exit("k8s_manifests.py: helm is needed: install it, or run scripts/cluster/build.sh helm")


def patch_of(old: Any, new: Any, key: str = "") -> Any:
    """What a strategic merge patch says to make `new` of `old`; None where they are equal."""
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        changed = {name: patch_of(old.get(name), new[name], name) for name in new if new[name] != old.get(name)}
        return changed | dict.fromkeys(old.keys() - new.keys())
    if isinstance(old, list) and isinstance(new, list) and key in MERGE_KEYS:
        return list(_list_patch(old, new, MERGE_KEYS[key]))
    return new


def _list_patch(old: list[Any], new: list[Any], by: str) -> Iterator[Any]:
    before = {item[by]: item for item in old}
    for item in new:
        if item[by] not in before:
            yield item
        elif item != before[item[by]]:
            yield {by: item[by]} | patch_of(before[item[by]], item)
    for gone in before.keys() - {item[by] for item in new}:
        yield {by: gone, "$patch": "delete"}


def difference(base: Objects, objects: Objects) -> dict[str, str]:
    """Files that make `objects` of the base, by name."""
    settings = ("ConfigMap", RELEASE)
    added = [item for name, item in objects.items() if name not in base and name != settings]
    patches = []
    for name, item in objects.items():
        if name in base and name != settings and item != base[name]:
            told = {"apiVersion": item["apiVersion"], "kind": item["kind"]} | patch_of(base[name], item)
            patches.append(told | {"metadata": {"name": name[1]} | told.get("metadata", {})})
    before = base[settings]["data"] if base else {}
    data = {name: text for name, text in objects[settings]["data"].items() if before.get(name) != text}
    files = {"resources.yaml": _dump(added), "patch.yaml": _dump(patches), "settings.env": _environment(data)}
    return {name: text for name, text in files.items() if text}


def _dump(objects: list[Any]) -> str:
    return HEADER + yaml.safe_dump_all(objects, sort_keys=False, width=1000) if objects else ""


def _environment(data: dict[str, str]) -> str:
    return HEADER + "".join(f"{name}={text}\n" for name, text in data.items()) if data else ""


def manifests() -> dict[Path, str]:
    """Everything that should be below k8s/."""
    base_values = K8S / "base" / "values.yaml"
    base = chart_objects(base_values)
    found = {base_values.parent / name: text for name, text in difference({}, base).items()} | operator_manifests()
    for values in sorted(K8S.rglob("values.yaml")):
        if values != base_values:
            files = difference(base, chart_objects(base_values, values))
            found |= {values.parent / name: text for name, text in files.items()}
    return found


def main() -> int:
    """Rewrite the files; with --check, say which are stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a file is stale")
    check = parser.parse_args().check
    stale = {path: text for path, text in manifests().items() if not path.exists() or path.read_text("utf-8") != text}
    if check and stale:
        names = ", ".join(str(path.relative_to(REPO)) for path in stale)
        print(f"stale: {names}; run python scripts/k8s_manifests.py")
        return 1
    for path, text in stale.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
