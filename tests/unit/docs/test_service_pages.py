"""The pages about the running service: generated ones are fresh, alerts have sections, metrics that are named exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from model_service.telemetry.metrics import METRICS
from model_service.telemetry.totals import INFO, WORKERS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ALERTS = ROOT / "charts" / "model-service" / "templates" / "_alerts.tpl"
KNOWN = {metric.name for metric in (*METRICS, WORKERS, INFO)}
SERIES = re.compile(
    r"\b((?:model|service|http_server)_[a-z_]+?)(?:_bucket|_sum|_count)?(?=[{\[(` ),;]|$)", re.MULTILINE
)


def test_api_and_metrics_are_up_to_date() -> None:
    command = [sys.executable, "scripts/service_reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_is_documented() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    assert listed == KNOWN


@pytest.mark.parametrize("page", ["metrics.md", "runbook.md"])
def test_queries_name_metrics_that_exist(page: str) -> None:
    code = re.findall(r"^    .*$|`[^`]+`", (DOCS / page).read_text(), re.MULTILINE)
    named = set(SERIES.findall("\n".join(code))) - {"model_not_ready", "model_service", "model_name", "model_version"}
    assert len(named) > 4
    assert named <= KNOWN


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    alerts = re.findall(r"^(Modelport\w+):$", ALERTS.read_text(), re.MULTILINE)
    assert len(alerts) >= 7
    sections = re.split(r"^## ", (DOCS / "runbook.md").read_text(), flags=re.MULTILINE)
    told = {section.partition("\n")[0]: section for section in sections}
    for alert in alerts:
        for part in ("**Means**", "**Look**", "| cause | what to do |"):
            assert part in told[alert], (alert, part)


def test_the_matrix_names_the_versions_that_ci_and_images_use() -> None:
    page = (DOCS / "support.md").read_text()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    matrices = [job["strategy"]["matrix"] for job in workflow["jobs"].values() if "strategy" in job]
    (pythons,) = [matrix["python"] for matrix in matrices if "python" in matrix]
    python_row = next(line for line in page.splitlines() if line.startswith("| Python |"))
    assert set(re.findall(r"\b3\.\d+\b", python_row)) == set(pythons)
    built = re.search(r"^SKLEARN := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert built is not None
    pickle_row = next(line for line in page.splitlines() if "where a pickle is served" in line)
    assert set(built[1].split()) <= set(re.findall(r"\b\d\.\d+\b", pickle_row))
    kubernetes = re.search(r"cmd/kube-apiserver +v(\d+\.\d+)\.", (ROOT / "scripts/cluster/versions.env").read_text())
    assert kubernetes is not None
    assert f"| Kubernetes | {kubernetes[1]} " in page
