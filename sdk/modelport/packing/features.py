"""`features.yaml`: what a sample cannot say about its columns, and the labels, rules and metadata that go with them."""

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
        PackRefused: the file cannot be read, a key is unknown, or a value has another type than expected.
    """
    if source is None:
        return FeaturesFile()
    where, content = ("features", source) if isinstance(source, Mapping) else (str(source), _load(Path(source)))
    document = dict(content)
    if isinstance(document.get("features"), Mapping):
        document["features"] = {
            str(name): dict(spec) if isinstance(spec, Mapping) else spec for name, spec in document["features"].items()
        }
    try:
        return strict.read(FeaturesFile, _plain(document), where)
    except ManifestInvalid as error:
        raise PackRefused(str(error)) from error


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


def _plain(value: Any) -> Any:
    """Tuples as lists, because the strict reader speaks JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
