"""Write values.schema.json and the tables of README.md of the chart from its values.yaml: neither can fall behind.

Above a key, `# --` says what the value means and `# @schema {...}` what its default does not show; `# @settings` stands
for the settings of the service that no other value sets. `## Title` begins a section.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from model_service.settings import Settings

CHART = Path(__file__).parent.parent / "charts" / "model-service"
CHARTS = (CHART, CHART.parent / "model-operator")
TABLES = re.compile(r"(<!-- values -->\n).*?(<!-- end -->)", re.DOTALL)
SET_BY_THE_CHART = {
    "api_port", "model_root", "model_name", "model_version", "model_digest", "model_sha256", "drain_delay_seconds",
    "request_timeout_seconds", "traffic_file", "admin__port", "admin__host", "admin__token_file",
}  # fmt: skip
"""Settings that have a value of their own, or none because the pod fixes them."""

FOR_PEOPLE = {"title", "default", "description", "format", "writeOnly"}
"""What a schema says that only helps people."""
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 1}
PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
VERSION = {"type": ["string", "integer"]}
DEFINITIONS: dict[str, Any] = {
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-fA-F]{64})?$"},
    "image": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "repository": {"type": "string"},
            "tag": {"type": "string"},
            "digest": {"$ref": "#/definitions/digest"},
            "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
        },
    },
    "named": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    "object": {"type": "object"},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "probe": {
        "type": "object",
        "additionalProperties": False,
        "required": ["periodSeconds", "timeoutSeconds", "failureThreshold"],
        "properties": {
            "initialDelaySeconds": {"type": "integer", "minimum": 0},
            "periodSeconds": COUNT,
            "timeoutSeconds": COUNT,
            "failureThreshold": COUNT,
        },
    },
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "requests": {"type": "object"},
            "limits": {"type": "object"},
            "claims": {"type": "array", "items": {"type": "object"}},
        },
    },
    "secretEntry": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"existingSecret": {"type": "string"}, "key": {"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"}},
    },
    "texts": TEXTS,
    "traffic": {"type": "object", "additionalProperties": {"$ref": "#/definitions/trafficOfModel"}},
    "trafficOfModel": {
        "type": "object",
        "additionalProperties": False,
        "required": ["default"],
        "properties": {
            "default": VERSION,
            "weights": {"type": "object", "additionalProperties": PERCENT},
            "sticky": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "required": ["header"],
                "properties": {"header": {"type": "string"}},
            },
            "shadow": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "required": ["version"],
                "properties": {"version": VERSION, "percent": PERCENT | {"minimum": 1}},
            },
            "pinned": {"type": "array", "items": VERSION},
        },
    },
    "versions": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["uri"],
            "properties": {
                "uri": {"type": "string", "minLength": 1},
                "digest": {"$ref": "#/definitions/digest"},
                "sha256": {"type": "string", "pattern": "^((sha256:)?[0-9a-fA-F]{64})?$"},
                "name": VERSION,
                "version": VERSION,
            },
        },
    },
}
INFERRED: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number", "minimum": 0},
    str: {"type": "string"},
    list: {"type": "array", "items": {"type": "object"}},
    dict: {"type": "object"},
}


@dataclass(frozen=True)
class Value:
    """One value: its path, default, what the comments above it say, and the values below it."""

    path: str
    default: Any
    section: str
    text: str = ""
    schema: dict[str, Any] | None = None
    settings: bool = False
    children: list["Value"] = field(default_factory=list)

    @property
    def is_leaf(self) -> bool:
        """Has a row of its own: nothing below it is a value by itself."""
        return not self.children or self.schema is not None or self.settings


def read_values(text: str) -> list[Value]:
    """The values of a values.yaml, in its order.

    Raises:
        ValueError: a comment or default that says nothing about a value's type.
    """
    lines = text.splitlines()
    node = yaml.compose(text)
    if not isinstance(node, yaml.MappingNode):
        raise TypeError("values.yaml: expected a map")
    return list(_mapping(node, lines, ""))


def _mapping(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, child in node.value:
        path = f"{prefix}{key.value}"
        remarks = list(_remarks(lines, key.start_mark.line)) if not node.flow_style else []
        annotation = next((remark.removeprefix("@schema") for remark in remarks if remark.startswith("@schema")), None)
        block = isinstance(child, yaml.MappingNode)
        yield Value(
            path=path,
            default=yaml.safe_load(yaml.serialize(child)),
            section=_section(lines, key.start_mark.line),
            text=_meaning(remarks),
            schema=None if annotation is None else yaml.safe_load(annotation),
            settings="@settings" in remarks,
            children=list(_mapping(child, lines, f"{path}.")) if block else [],
        )


def _remarks(lines: list[str], line: int) -> Iterator[str]:
    first = line
    while first and lines[first - 1].lstrip().startswith("# "):
        first -= 1
    yield from (text.lstrip().removeprefix("# ") for text in lines[first:line])


def _meaning(remarks: list[str]) -> str:
    told: list[str] = []
    for remark in remarks:
        if remark.startswith("-- "):
            told = [remark.removeprefix("-- ")]
        elif told and not remark.startswith("@"):
            told.append(remark)
    return " ".join(told)


def _section(lines: list[str], line: int) -> str:
    titles = [text.removeprefix("## ") for text in lines[: line + 1] if text.startswith("## ")]
    return titles[-1] if titles else ""


def schema(values: list[Value], name: str) -> dict[str, Any]:
    """The JSON schema (draft 7) of the whole file; `global` is helm's own."""
    top = _object(values)
    top["properties"]["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"Values of {name}",
        **top,
        "definitions": {name: DEFINITIONS[name] for name in sorted(_named(top))},
    }


def _named(part: Any) -> set[str]:
    """Definitions that a part of the schema refers to, and those that these refer to."""
    direct = set(re.findall(r"#/definitions/(\w+)", json.dumps(part)))
    return direct.union(*(_named(DEFINITIONS[name]) for name in direct))


def _object(values: list[Value]) -> dict[str, Any]:
    properties = {value.path.rpartition(".")[2]: _schema(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema(value: Value) -> dict[str, Any]:
    if value.settings:
        return _settings()
    told = value.schema or {}
    if "$ref" in told:
        return told
    if value.children:
        return _object(value.children)
    if value.default is None and "type" not in told:
        raise ValueError(f"{value.path}: null says nothing about its type; add `# @schema {{type: ...}}`")
    inferred = {} if {"type", "enum"} & told.keys() else INFERRED[type(value.default)]
    return inferred | told


def _settings() -> dict[str, Any]:
    """What pydantic says of each plain setting."""
    document = Settings.model_json_schema()
    return _group(document, document["$defs"], "")


def _group(told: dict[str, Any], groups: dict[str, Any], prefix: str) -> dict[str, Any]:
    kept = {
        name: _plain(each, groups, f"{prefix}{name}__")
        for name, each in told["properties"].items()
        if f"{prefix}{name}" not in SET_BY_THE_CHART
    }
    return {"type": "object", "additionalProperties": False, "properties": kept}


def _plain(told: Any, groups: dict[str, Any], prefix: str) -> Any:
    """An optional setting is given or left out; helm has no other null."""
    if isinstance(told, list):
        return [_plain(each, groups, prefix) for each in told if each != {"type": "null"}]
    if not isinstance(told, dict):
        return told
    if "$ref" in told:
        return _group(groups[told["$ref"].rpartition("/")[2]], groups, prefix)
    kept = {key: _plain(found, groups, prefix) for key, found in told.items() if key not in FOR_PEOPLE}
    kinds = kept.get("anyOf", ())
    return kinds[0] if len(kinds) == 1 else kept


def tables(values: list[Value]) -> str:
    """One table a section: name, default, meaning."""
    rows: dict[str, list[str]] = {}
    for value in _leaves(values):
        shown = json.dumps(value.default) if value.default not in ("", None) else ""
        cells = (f"`{value.path}`", f"`{shown}`" if shown else "", value.text.replace("|", "\\|").replace("<", "\\<"))
        rows.setdefault(value.section, []).append(f"| {' | '.join(cells)} |\n")
    parts = [
        f"\n### {section}\n\n| value | default | meaning |\n|---|---|---|\n{''.join(lines)}"
        for section, lines in rows.items()
    ]
    return "".join(parts) + "\n"


def _leaves(values: list[Value]) -> Iterator[Value]:
    for value in values:
        if value.is_leaf:
            yield value
        else:
            yield from _leaves(value.children)


def leaves(chart: Path = CHART) -> list[Value]:
    """Every value that can be set by itself."""
    return list(_leaves(read_values((chart / "values.yaml").read_text(encoding="utf-8"))))


def render(chart: Path) -> dict[Path, str]:
    """What the generated files should hold."""
    values = read_values((chart / "values.yaml").read_text(encoding="utf-8"))
    page = (chart / "README.md").read_text(encoding="utf-8")
    return {
        chart / "values.schema.json": json.dumps(schema(values, chart.name), indent=2) + "\n",
        chart / "README.md": TABLES.sub(lambda match: f"{match[1]}{tables(values)}{match[2]}", page),
    }


def main() -> int:
    """Rewrite the generated files; with --check, say whether that would change them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a file is stale")
    check = parser.parse_args().check
    for path, wanted in {path: text for chart in CHARTS for path, text in render(chart).items()}.items():
        if check and (not path.exists() or path.read_text(encoding="utf-8") != wanted):
            print(f"{path} is stale: run python scripts/chart_reference.py")
            return 1
        path.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
