"""values.yaml is the one source: schema and README follow from it, every value has an effect and an example."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml
from support.chart import CHART, REPO, VALUE_SETS, template

SCRIPT = REPO / "scripts" / "chart_reference.py"
PATHS = [value.path for value in runpy.run_path(str(SCRIPT))["leaves"]()]
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SETS = {path.name: yaml.safe_load(path.read_text()) for path in VALUE_SETS}
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
USE = re.compile(r"(\$\w*|)\.Values((?:\.[a-zA-Z0-9]+)+)")
BINDING = re.compile(r"(\$\w+) := \.Values((?:\.[a-zA-Z0-9]+)+) ")


def templates() -> Iterator[str]:
    for path in (CHART / "templates").rglob("*"):
        if path.is_file():
            yield path.read_text()


def used(text: str) -> Iterator[str]:
    """Paths of the values that a template names, directly or through a variable."""
    yield from (path.lstrip(".") for _, path in USE.findall(text))
    for variable, path in BINDING.findall(text):
        for below in re.findall(re.escape(variable) + r"((?:\.[a-zA-Z0-9]+)+)", text):
            yield f"{path}{below}".lstrip(".")


def place(values: Any, path: str) -> Any:
    """The map that holds the last key of a path, or None."""
    for key in path.split(".")[:-1]:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) and path.rsplit(".", maxsplit=1)[-1] in values else None


def has_effect(path: str) -> bool:
    """Some value set gives the value, and without it the chart renders something else."""
    for name, values in SETS.items():
        if place(values, path) is None:
            continue
        rest = deepcopy(values)
        del place(rest, path)[path.rsplit(".", maxsplit=1)[-1]]
        if template(rest).stdout != rendered_set(name):
            return True
    return False


@cache
def rendered_set(name: str) -> str:
    return template(SETS[name]).stdout


def test_schema_and_readme_are_what_the_script_writes() -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_every_value_is_set_by_a_value_set_and_changes_the_render() -> None:
    with ThreadPoolExecutor(2) as pool:
        idle = [path for path, effect in zip(PATHS, pool.map(has_effect, PATHS), strict=True) if not effect]
    assert idle == []


def test_every_value_that_a_template_names_is_there() -> None:
    names = {path for text in templates() for path in used(text)}
    assert len(names) > 60
    missing = {path for path in names if place(DEFAULTS, path) is None and not path.startswith("config.")}
    assert missing == set()


def test_every_value_says_what_it_means() -> None:
    page = (CHART / "README.md").read_text()
    silent = [path for path in PATHS if not re.search(rf"^\| `{re.escape(path)}` \|.*\| \S.* \|$", page, re.MULTILINE)]
    assert silent == []


@pytest.mark.parametrize("name", SETS)
def test_defaults_and_value_sets_keep_to_the_schema(name: str) -> None:
    jsonschema.validate(DEFAULTS, SCHEMA)
    jsonschema.validate(SETS[name], SCHEMA)


def objects(node: Any) -> Iterator[Any]:
    """Each part of the schema that lists keys."""
    if isinstance(node, dict) and isinstance(node.get("properties"), dict) and "type" in node:
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from objects(child)


def test_an_object_that_lists_its_keys_refuses_others() -> None:
    listed = list(objects(SCHEMA))
    assert len(listed) > 20
    assert all(node["additionalProperties"] is False for node in listed)
