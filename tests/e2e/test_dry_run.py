"""Every switch of the chart, as the API server itself judges it in a restricted namespace."""

import subprocess
from pathlib import Path

import pytest
from support.cluster import CHART, Namespace, run


@pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_api_server_takes_the_render_without_a_warning(namespace: Namespace, values: Path) -> None:
    name = namespace.name
    run("kubectl", "label", "namespace", name, "pod-security.kubernetes.io/warn=restricted", "--overwrite")
    render = run("helm", "template", "dry", str(CHART), "--namespace", name, "--values", str(values), "--no-hooks")
    apply = ["kubectl", "--namespace", name, "apply", "--dry-run=server", "--validate=strict", "--filename", "-"]
    result = subprocess.run(apply, input=render, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
