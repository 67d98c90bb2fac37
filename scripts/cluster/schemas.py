"""Write the JSON schemas that manifests are checked against, from what the API servers themselves publish.

Kubernetes' own kinds come from the OpenAPI document in the module k8s.io/kubernetes, custom resources from the
definitions in their operators' modules, that of skaffold.yaml from skaffold; versions.env names all. Prints the folder,
which lies in the user's cache and is made once; `definitions.json` in it holds the custom resource definitions.
Unknown fields are refused, as the API server's strict validation does.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "cluster"
KUBERNETES = re.compile(r"^kube-apiserver\s+\S+\s+\S+\s+(\S+)", re.MULTILINE)
SKAFFOLD = re.compile(r"^skaffold\s+\S+\s+\S+\s+(\S+)", re.MULTILINE)
CUSTOM = re.compile(r"^CUSTOM_RESOURCES='\n(.*?)'", re.MULTILINE | re.DOTALL)
REFERENCE = re.compile(r'"#/definitions/([^"]+)"')
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
NUMBER_OR_TEXT = {"type": ["string", "number"]}


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The fast one where there is one; a lone `=` is text, which YAML 1.1 left undecided."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def download(module: str, version: str) -> Path:
    """Folder of a Go module. Ends the program with what `go` said when it cannot be had."""
    if not shutil.which("go"):
        sys.exit("schemas.py: Go is needed to fetch the API's schemas: install Go 1.21 or later")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "go.mod").write_text("module probe\n", encoding="utf-8")
        command = ["go", "mod", "download", "-json", f"{module}@{version}"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    told = json.loads(result.stdout or "{}")
    if "Dir" not in told:
        sys.exit(f"schemas.py: {module} {version} cannot be had: {told.get('Error', result.stderr)}")
    return Path(told["Dir"])


def strict(node: Any) -> Any:
    """The schema with objects closed, and Kubernetes' numbers that may be text spelt out."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string"):
        return NUMBER_OR_TEXT
    kept = {key: strict(value) for key, value in node.items() if key not in {"description", "default"}}
    is_open = "additionalProperties" in node or node.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(node.get("properties"), dict) and not is_open:
        kept["additionalProperties"] = False
    return kept


def kubernetes_schemas(document: Any) -> Iterator[tuple[str, Any]]:
    """File name and schema of each kind of the OpenAPI document, each with all that it refers to."""
    definitions = {name: strict(told) for name, told in document["definitions"].items()}
    definitions[QUANTITY] = NUMBER_OR_TEXT
    for name, told in document["definitions"].items():
        for kind in told.get("x-kubernetes-group-version-kind", ()):
            if not kind["kind"].endswith("List"):
                schema = definitions[name] | {"definitions": reached(name, definitions)}
                yield file_name(kind["kind"], kind["group"], kind["version"]), schema


def reached(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that one refers to, directly or not."""
    found: dict[str, Any] = {}
    open_ends = {name}
    while open_ends:
        for one in open_ends:
            found[one] = definitions[one]
        texts = (json.dumps(definitions[one]) for one in open_ends)
        open_ends = {told for text in texts for told in REFERENCE.findall(text)} - found.keys()
    return found


def custom_schemas(definition: Any) -> Iterator[tuple[str, Any]]:
    """File name and schema of each version of one custom resource definition."""
    spec = definition["spec"]
    for version in spec["versions"]:
        told = strict(version["schema"]["openAPIV3Schema"])
        told["properties"]["metadata"] = {"type": "object"}
        yield file_name(spec["names"]["kind"], spec["group"], version["name"]), told


def file_name(kind: str, group: str, version: str) -> str:
    """As kubeconform looks for it; to it the group of the core kinds is their version."""
    return f"{kind.lower()}_{group or version}_{version}"


def every_schema(versions: str) -> Iterator[tuple[str, Any]]:
    """All that versions.env names."""
    kubernetes, custom, skaffold = KUBERNETES.search(versions), CUSTOM.search(versions), SKAFFOLD.search(versions)
    if not (kubernetes and custom and skaffold):
        sys.exit("schemas.py: versions.env names no kube-apiserver, CUSTOM_RESOURCES or skaffold")
    folder = download("k8s.io/kubernetes", kubernetes[1])
    yield from kubernetes_schemas(json.loads((folder / "api" / "openapi-spec" / "swagger.json").read_text("utf-8")))
    definitions = []
    for line in custom[1].splitlines():
        module, version, place = line.split()
        for path in sorted((download(module, version) / place).glob("*.yaml")):
            for document in yaml.load_all(path.read_text("utf-8"), Loader):
                if document and document["kind"] == "CustomResourceDefinition":
                    definitions.append(document)
                    yield from custom_schemas(document)
    yield "definitions", definitions
    folder = (
        download("github.com/GoogleContainerTools/skaffold/v2", skaffold[1]) / "docs-v2" / "content" / "en" / "schemas"
    )
    for path in folder.glob("v4*.json"):
        yield f"skaffold-{path.stem}", json.loads(path.read_text("utf-8"))


def main() -> None:
    """Make the folder unless it is there; print it."""
    versions = (HERE / "versions.env").read_text("utf-8")
    key = hashlib.sha256((versions + Path(__file__).read_text("utf-8")).encode()).hexdigest()[:16]
    target = CACHE / "schemas" / key
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix="tmp.", dir=target.parent))
        for name, schema in every_schema(versions):
            (staged / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")
        staged.rename(target)
    print(target)


if __name__ == "__main__":
    main()
