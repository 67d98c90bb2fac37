"""The traffic document: for each model its default version, weights, shadow and what stays loaded.

Whoever runs the service writes it; workers only read it. It is checked as a whole before any of it takes effect.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import yaml

from model_artifact.paths import is_name, version_key

Key = tuple[str, str]
"""Name and version of a model."""
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
PARTS = 100
"""A weight is a whole percent: so many parts the keys fall into."""
MAX_BYTES = 256 << 10


class TrafficInvalid(ValueError):
    """A document is not one: what is wrong, and where."""


class Sticky(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header whose value decides: the same value always gets the same version."""

    header: Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that is asked too, for comparison only, and for how many percent of the requests."""

    version: str
    percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100


class ModelTraffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The traffic of one model: `weights` in whole percent with the sum 100, or none for all to the default."""

    default: str
    weights: dict[str, Percent] = {}
    sticky: Sticky | None = None
    shadow: Shadow | None = None
    pinned: tuple[str, ...] = ()

    def versions(self) -> Iterator[str]:
        """Versions that have to be loaded, the default first."""
        yield self.default
        yield from (version for version, weight in self.weights.items() if weight)
        yield from self.pinned
        if self.shadow is not None:
            yield self.shadow.version

    def parts(self) -> tuple[str, ...]:
        """The version of each of the 100 parts: candidates take from the two ends, the default has what is between.

        So a candidate whose weight changes gives keys to the default, or takes them from it, and the candidate at the
        other end keeps its own. Which end is a version's follows from its last character, odd or even, if it can have
        that, so that it stays there when the other one goes or becomes the default; a third candidate comes next to
        one of the two, and is moved when that one grows.
        """
        weights = self.weights or {self.default: PARTS}
        ends: tuple[list[str], list[str]] = [], []
        for version in sorted(weights.keys() - {self.default}, key=version_key):
            own, other = ends if ord(version[-1]) % 2 else ends[::-1]
            (own if len(own) <= len(other) else other).append(version)
        order = *ends[0], self.default, *reversed(ends[1])
        return tuple(version for version in order for _ in range(weights.get(version, 0)))


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document; a later one has a higher generation."""

    generation: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    models: dict[str, ModelTraffic] = {}

    def default_of(self, key: Key) -> Key:
        """The default version of the model of `key`, which is the default where this document says nothing of it."""
        covered = self.models.get(key[0])
        return key if covered is None else (key[0], covered.default)

    def needed(self, configured: Key) -> tuple[Key, ...]:
        """Versions that have to be loaded before this takes effect, each once; the default of all comes first.

        Args:
            configured: the default of a server without a document.
        """
        named = [(name, version) for name, model in self.models.items() for version in model.versions()]
        return tuple(dict.fromkeys([self.default_of(configured), *named]))


def part_of(model: str, key: bytes) -> int:
    """The part, 0 to 99, of a sticky key: the first 8 bytes of SHA-256 of model, NUL and key, over 2^64."""
    digest = hashlib.sha256(model.encode() + b"\0" + key).digest()
    return int.from_bytes(digest[:8]) * PARTS >> 64


def parse(content: bytes) -> Traffic:
    """Read a document written as JSON, or as YAML.

    Raises:
        TrafficInvalid: it is neither, or not a traffic document.
    """
    if len(content) > MAX_BYTES:
        raise TrafficInvalid(f"expected at most {MAX_BYTES} bytes, got {len(content)}")
    try:
        if content.lstrip().startswith(b"{"):
            return _checked(msgspec.json.decode(content, type=Traffic))
        # Scalars stay text: a version written as 1.10 must not become the number 1.1.
        document = yaml.load(content, yaml.BaseLoader)  # noqa: S506 - makes nothing but text
        return _checked(msgspec.convert({} if document is None else document, Traffic, strict=False))
    except (msgspec.DecodeError, msgspec.ValidationError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise TrafficInvalid(" ".join(str(error).split()) or type(error).__name__) from error


def as_json(traffic: Traffic) -> dict[str, Any]:
    """The document as JSON writes it."""
    document: dict[str, Any] = msgspec.to_builtins(traffic)
    return document


def _checked(traffic: Traffic) -> Traffic:
    for name, model in traffic.models.items():
        for problem in _problems(name, model):
            raise TrafficInvalid(f"models.{name}: {problem}")
    return traffic


def _problems(name: str, model: ModelTraffic) -> Iterator[str]:
    versions = [name, *model.versions(), *model.weights]
    yield from (f"{text[:64]!r} is no name of a model or version" for text in versions if not is_name(text))
    total = sum(model.weights.values())
    if model.weights and total != PARTS:
        yield f"expected weights with the sum 100, got {_sum(model.weights)} = {total}"


def _sum(weights: Mapping[str, int]) -> str:
    return " + ".join(map(str, weights.values()))
