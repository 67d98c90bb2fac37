"""Write a CycloneDX bill of materials for each image: the packages of its lock, and those of its base.

    sbom.py CYCLONEDX_PY FOLDER [--docker COMMAND]

The tool of the CycloneDX project reads the locks, hashes included; licences come from the packages' own metadata, the
base's packages from the image itself. Without an image of that name the base is left out, and the document says so.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lock

QUERY = ("--entrypoint", "dpkg-query"), ("--show", "--showformat", r"${Package} ${Version} ${Architecture}\n")


def python_packages(tool: str, path: Path) -> Any:
    """The document for a lock, with licences."""
    command = [tool, "requirements", str(path), "--output-format", "JSON", "--output-reproducible"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    installed = {package.name: package for package in lock.packages(path)}
    document["components"] = [item for item in document["components"] if item["name"] in installed]
    for component in document["components"]:
        del component["description"]  # the line of the lock
        component["licenses"] = [{"license": {"name": installed[component["name"]].licence or "unknown"}}]
    return document


def base_packages(docker: str, image: str) -> list[Any] | None:
    """Debian packages of an image; None when it is not there."""
    before, after = QUERY
    command = [*docker.split(), "run", "--rm", "--network=none", *before, image, *after]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return [_component(*line.split()) for line in result.stdout.splitlines()] if result.returncode == 0 else None


def _component(name: str, version: str, architecture: str) -> dict[str, str]:
    purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={architecture}"
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def image_of(stem: str, version: str) -> str:
    """Name of the image that a lock belongs to: service-sklearn1.9 is service-sklearn:sklearn1.9."""
    target, found, minor = stem.partition("sklearn")
    return f"modelport/{target}sklearn:sklearn{minor}" if found else f"modelport/{stem}:{version}"


def main() -> None:
    """Write FOLDER/<image>.cdx.json for every lock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", help="the program cyclonedx-py")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", required=True, help="of the images")
    parser.add_argument("--docker", default="docker", help="client to ask for the packages of the base")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for stem, path in lock.images().items():
        image = image_of(stem, given.version)
        document = python_packages(given.tool, path)
        base = base_packages(given.docker, image)
        told = [{"name": "modelport:base", "value": "not part of this document"}] if base is None else []
        document["metadata"]["component"] = {"type": "container", "name": image, "bom-ref": image, "properties": told}
        document["components"] += base or []
        target = given.folder / f"{stem}.cdx.json"
        target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{target}: {len(document['components'])} components")


if __name__ == "__main__":
    main()
