"""What each route asks for, as one table: a route that is not in it is refused.

Paths are templates of the routers; both ports have the same table.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.routing import compile_path

from model_service.access.principal import Scope

if TYPE_CHECKING:
    from re import Pattern


class About(Enum):
    """Which models a route touches, for principals that are limited to some."""

    NOTHING = auto()
    NAMED = auto()
    DEFAULT = auto()
    EVERYTHING = auto()


@dataclass(frozen=True)
class Needs:
    """What a route asks for.

    Attributes:
        scope: what the caller must be allowed to do; null for an open route.
        about: which models the route touches.
        model: the model that the path names.
    """

    scope: Scope | None
    about: About = About.NOTHING
    model: str | None = None


OPEN = Needs(None)
PREDICT, PREDICT_NAMED = Needs("predict", About.DEFAULT), Needs("predict", About.NAMED)
DOCS, METRICS = Needs("docs"), Needs("metrics")
ADMIN, ADMIN_NAMED = Needs("admin", About.EVERYTHING), Needs("admin", About.NAMED)

POLICY: Mapping[str, Needs] = {
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "POST /oauth/token": OPEN,  # asks for a password itself
    "POST /predict": PREDICT,
    "POST /predict/batch": PREDICT,
    "POST /models/{name}/predict": PREDICT_NAMED,
    "POST /models/{name}/predict/batch": PREDICT_NAMED,
    "POST /models/{name}/versions/{version}/predict": PREDICT_NAMED,
    "POST /models/{name}/versions/{version}/predict/batch": PREDICT_NAMED,
    "GET /docs": DOCS,
    "GET /redoc": DOCS,
    "GET /openapi.json": DOCS,
    "HEAD /openapi.json": DOCS,
    "GET /models/{name}/docs": DOCS,
    "GET /models/{name}/openapi.json": DOCS,
    "GET /models/{name}/versions/{version}/docs": DOCS,
    "GET /models/{name}/versions/{version}/openapi.json": DOCS,
    "GET /metrics": METRICS,
    "GET /admin/models": ADMIN,
    "POST /admin/models/{name}/versions/{version}/load": ADMIN_NAMED,
    "POST /admin/models/{name}/versions/{version}/unload": ADMIN_NAMED,
    "GET /admin/traffic": ADMIN,
    "PUT /admin/traffic": ADMIN,
}


MOST_PATHS, LONGEST_PATH = 1024, 256
"""Paths that are remembered, because matching templates takes longer than all the rest."""


class Policy:
    """Finds what a request needs.

    Args:
        opened: scopes that everybody has.

    Attributes:
        exact: what is needed by method and path, for paths that are no templates.
    """

    def __init__(self, opened: Collection[Scope] = ()) -> None:
        self.exact: dict[tuple[str, str], Needs] = {}
        self._remembered = lru_cache(MOST_PATHS)(self._match)
        self._templates: list[tuple[str, Pattern[str], Needs]] = []
        for route, told in POLICY.items():
            method, path = route.split()
            needs = replace(told, scope=None if told.scope in opened else told.scope)
            if "{" in path:
                self._templates.append((method, compile_path(path)[0], needs))
            else:
                self.exact[method, path] = needs

    def find(self, method: str, path: str) -> Needs | None:
        """What is needed for another path, with the model that it names; null for a route that is not known."""
        return self._remembered(method, path) if len(path) <= LONGEST_PATH else self._match(method, path)

    def _match(self, method: str, path: str) -> Needs | None:
        for verb, pattern, needs in self._templates:
            if verb == method and (match := pattern.fullmatch(path)):
                return replace(needs, model=match["name"])
        return None
