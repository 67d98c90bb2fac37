"""`features.yaml`: what a sample cannot say about its columns, and the labels, rules and metadata that go with them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from model_artifact import strict
from model_artifact.errors import ManifestInvalid
from model_artifact.signature import Dtype, Rule, Scalar
from modelport.packing.errors import PackRefused


@dataclass(frozen=True)
class FeatureSpec:
    """What is declared of one column; null leaves it to the sample."""

    description: str = ""
    dtype: Dtype | None = None
    nullable: bool | None = None
    default: Scalar | None = None
    computed: str | None = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    categories: tuple[Scalar, ...] | None = None
    example: Scalar | None = None


@dataclass(frozen=True)
class FeaturesFile:
    """The whole file; `labels` maps class values to text, or lists texts in the order of the classes."""

    labels: Any = None
    features: dict[str, FeatureSpec] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


def read_features(source: Mapping[str, Any] | str | Path | None) -> FeaturesFile:
    """Read features from a mapping of the file's shape, or from a YAML file's path.

    Raises:
        PackRefused: the file cannot be read, a key is unknown or not text, or a value has another type than expected.
    """
    if source is None:
        return FeaturesFile()
    where, content = ("features", source) if isinstance(source, Mapping) else (str(source), _load(Path(source)))
    document = dict(content)
    if isinstance(document.get("features"), Mapping):
        document["features"] = {str(name): spec for name, spec in document["features"].items()}
    labels = {"labels": document.pop("labels")} if "labels" in document else {}  # its keys are class values
    try:
        return strict.read(FeaturesFile, plain_json(document, where) | labels, where)
    except ManifestInvalid as error:
        raise PackRefused(str(error)) from error


def plain_json(value: Any, where: str) -> Any:
    """Mappings as dicts and tuples as lists, as JSON has them.

    Raises:
        PackRefused: a key that is not text, or something that JSON cannot carry, such as a date or NaN.
    """
    try:
        return _plain(value, where)
    except RecursionError as error:
        raise PackRefused(f"{where} is nested too deeply") from error


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PackRefused(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise PackRefused(f"{path} is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise PackRefused(f"{path}: expected keys (labels, features, rules, metadata), got {type(content).__name__}")
    return content


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        if other := [key for key in value if not isinstance(key, str)]:
            raise PackRefused(f"{where}: expected keys that are text, got {_shown(other[0])}; put it in quotes")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise PackRefused(f"{where}: expected a JSON value (dates need quotes), got {_shown(value)}")


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:60]}"
