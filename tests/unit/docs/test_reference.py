"""The documentation names everything there is: it cannot fall behind the code."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from fastapi.openapi.utils import get_openapi

from model_artifact import expressions, signature
from model_artifact.delivery import DeliveryError
from model_artifact.manifest import MODEL_SUFFIXES, Manifest
from model_artifact.strict import camel
from model_fetcher.sources import SCHEMES
from model_service.api.page import router as api_page
from model_service.app import create_app
from model_service.errors import ServiceError
from model_service.settings import Settings
from modelport.cli import main
from modelport.packing.features import FeaturesFile, FeatureSpec

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *ROOT.glob("examples/**/*.md"),
]
FRAMEWORK_ERRORS = {(404, "not_found"), (405, "method_not_allowed"), ("other", "http_error"), (500, "internal_error")}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_the_tables_of_settings_are_up_to_date() -> None:
    command = [sys.executable, "scripts/settings_reference.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_env_example_is_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "env_example.py")], cwd=tmp_path, check=True)
    assert (tmp_path / ".env.example").read_text() == page(".env.example")


def test_every_error_of_the_service_is_documented() -> None:
    expected = {(kind.status, kind.code) for kind in subclasses(ServiceError)} | FRAMEWORK_ERRORS
    found = set(re.findall(r"^\| (\w+) \| `(\w+)` \|", page("docs/errors.md"), re.MULTILINE))
    assert found == {(str(status), code) for status, code in expected}


def test_every_exit_code_of_the_fetcher_is_documented() -> None:
    text = page("docs/fetching.md")
    for kind in subclasses(DeliveryError):
        assert f"| {kind.exit_code} | `{kind.reason}` |" in text


def test_every_endpoint_is_documented() -> None:
    app = create_app(Settings())
    paths = get_openapi(title="", version="", routes=app.routes)["paths"]
    expected = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    expected |= {f"GET {path}" for path in (*(route.path for route in api_page.routes), app.openapi_url)}  # type: ignore[attr-defined]
    assert "POST /predict" in expected
    assert {name for name in expected if f"`{name}`" not in page("docs/serving.md")} == set()


def test_every_command_is_documented() -> None:
    assert {name for name in main.commands if f"| `modelport {name}` |" not in page("README.md")} == set()


def test_every_program_is_documented() -> None:
    programs = re.findall(r'^([\w-]+) = "[\w.]+:main"$', page("pyproject.toml"), re.MULTILINE)
    assert len(programs) == 3
    assert {name for name in programs if f"`{name}" not in page("README.md")} == set()


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("docs/bundle.md", [camel(field.name) for field in fields(Manifest)]),
        ("docs/bundle.md", [camel(field.name) for field in fields(signature.Signature)]),
        ("docs/bundle.md", [field.name for field in fields(signature.Feature)]),
        ("docs/bundle.md", sorted(signature.RESERVED)),
        ("docs/bundle.md", list(get_args(signature.Task) + get_args(signature.Layout))),
        ("docs/fetching.md", list(MODEL_SUFFIXES)),
        ("docs/fetching.md", [f"{name}://" for name in SCHEMES]),
    ],
)
def test_every_name_of_the_contract_is_documented(where: str, names: list[str]) -> None:
    text = page(where)
    assert [name for name in names if f"`{name}" not in text] == []


def test_every_key_of_the_features_file_is_documented() -> None:
    section = page("docs/bundle.md").partition("## features.yaml")[2]
    names = [field.name for kind in (FeaturesFile, FeatureSpec) for field in fields(kind)]
    assert [name for name in names if not re.search(rf"\b{name}\b", section)] == []


def test_every_function_of_the_expression_language_is_documented() -> None:
    listed = re.search(r"functions `([a-z ]+)`", page("docs/bundle.md"))
    assert listed is not None
    for name in listed[1].split():
        expressions.compile_expression(f"{name}(x)", frozenset({"x"}))
    with pytest.raises(expressions.ExpressionInvalid) as refused:
        expressions.compile_expression("x.y", frozenset({"x"}))
    assert str(refused.value).endswith(", ".join(listed[1].split()))


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in file:
            continue
        linked = path.parent / file if file else path
        assert linked.exists(), f"{path}: {target}"
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{path}: {target}"
