"""The traffic of one model, compiled: which loaded version answers a request that names none."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from model_service.headers import Headers
from model_service.traffic.document import PARTS, Key, ModelTraffic, part_of
from model_service.versions import Lane, Version


@dataclass(frozen=True, slots=True)
class Routing:
    """Chooses among the versions of one model.

    Args:
        model: its name.
        lanes: of each of the 100 parts.
        header: whose value decides, in lower case; without one, or without a value, chance does.
        only: the lane of all parts, where there is but one.
    """

    model: str
    lanes: tuple[Lane, ...]
    header: bytes | None
    only: Lane | None

    def choose(self, headers: Headers) -> Lane:
        """The version for a request with these headers."""
        if self.only is not None:
            return self.only
        key = headers.get(self.header) if self.header is not None else None
        return self.lanes[part_of(self.model, key) if key else int(random.random() * PARTS)]  # noqa: S311


def compile_routing(name: str, traffic: ModelTraffic, loaded: Mapping[Key, Version]) -> Routing:
    """Compile the traffic of one model, whose versions are loaded."""
    parts = traffic.parts()
    lanes = {
        version: Lane(loaded[name, version], "default" if version == traffic.default else "candidate")
        for version in dict.fromkeys(parts)
    }
    header = None if traffic.sticky is None else traffic.sticky.header.lower().encode()
    only = lanes[parts[0]] if len(lanes) == 1 else None
    return Routing(name, tuple(lanes[version] for version in parts), header, only)
