"""`make release` to a registry on this machine: what it pushed can be pulled, installed, and checked."""

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from support.chart import program
from support.cluster import REPO, Bucket, Namespace, run, wait_for

from model_artifact import __version__
from modelport import Client

DIST = REPO / "dist"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """An empty registry that speaks http, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "data")}}
    settings = {"version": 0.1, "storage": storage, "http": {"addr": address}, "log": {"level": "error"}}
    config = tmp_path / "registry.yml"
    config.write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        command = [program("registry"), "serve", str(config)]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
            wait_for(lambda: _answers(f"http://{address}/v2/"), "the registry", patience=20)
            yield address
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def test_what_was_released_is_whole_and_installs(
    registry: str, namespace: Namespace, bucket: Bucket, packed: Callable[[str], Any], values: Any, row: Any
) -> None:
    place = f"{registry}/modelport"
    started = time.monotonic()
    run("env", "ALLOW_DIRTY=1", "PLAIN_HTTP=1", f"REGISTRY={place}", "make", "--directory", str(REPO), "release")
    seconds = time.monotonic() - started

    sums = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} == {
        str(path.relative_to(DIST)) for path in DIST.rglob("*") if path.is_file() and path.name != "SHA256SUMS"
    }
    assert all(hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest for digest, name in sums)
    documents = {path.name: json.loads(path.read_text()) for path in (DIST / "sbom").iterdir()}
    for document in documents.values():
        kinds = {component["purl"].split("/")[0] for component in document["components"]}
        assert (document["bomFormat"], kinds) == ("CycloneDX", {"pkg:pypi", "pkg:deb"})

    bundle = packed("1")
    given = values(bucket.upload(bundle.path, "released/1"), bundle.digest)
    given["image"] = {"repository": f"{place}/service", "tag": __version__}
    given["initContainer"]["image"] = {"repository": f"{place}/init-container", "tag": __version__}
    chart = f"oci://{place}/charts/model-service"
    flags = ("--version", __version__, "--plain-http", "--wait", "--values", "-")
    run("helm", "--namespace", namespace.name, "install", "released", chart, *flags, text=json.dumps(given))
    with Client(namespace.url("released")) as client:
        assert client.predict(row["features"]).model_version == "1"
    components = sum(len(document["components"]) for document in documents.values())
    print(f"\nfigure: make release {seconds:.0f} s: {len(sums)} files, {components} components; installed from there")
    namespace.helm("uninstall", "released")
