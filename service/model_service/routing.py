"""The traffic of one model, compiled: which loaded version answers a request that names none."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from model_service.traffic.document import PARTS, Key, ModelTraffic, part_of
from model_service.versions import Lane, Version

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Routing:
    """Chooses among the versions of one model.

    Args:
        model: its name.
        lanes: of each of the 100 parts.
        header: whose value decides, in lower case; without one, or without a value, chance does.
    """

    model: str
    lanes: tuple[Lane, ...]
    header: bytes | None

    def choose(self, headers: Headers) -> Lane:
        """The version for a request with these headers."""
        key = headers.get(self.header) if self.header is not None else None
        return self.lanes[random.randrange(PARTS) if key is None else part_of(self.model, key)]  # noqa: S311


def compile_routing(name: str, traffic: ModelTraffic, loaded: Mapping[Key, Version]) -> Routing:
    """Compile the traffic of one model, whose versions are loaded."""
    lanes = {
        version: Lane(loaded[name, version], "default" if version == traffic.default else "candidate")
        for version in dict.fromkeys(traffic.parts())
    }
    header = None if traffic.sticky is None else traffic.sticky.header.lower().encode()
    return Routing(name, tuple(lanes[version] for version in traffic.parts()), header)
