"""FastAPI as both ports use it."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Service(FastAPI):
    """FastAPI with the request pipeline around it instead of inside: a hot request does not enter the framework."""

    _pipeline: ASGIApp
    _served: Sequence[BaseRoute] = ()

    def include(self, *routers: APIRouter) -> None:
        """Serve the routes of these."""
        for router in routers:
            self.include_router(router)
            self._served = *self._served, *router.routes

    def template_of(self, scope: Scope) -> str | None:
        """The template of the path that the router would find for a request it has not been asked about."""
        if "router" in scope:
            return None
        found = (route for route in self._served if route.matches(scope)[0] is Match.FULL)
        template: str | None = getattr(next(found, None), "path", None)
        return template

    def surround(self, *layers: Middleware) -> None:
        """Set the pipeline, outermost layer first."""
        self._pipeline = super().__call__
        for layer in reversed(layers):
            self._pipeline = layer.cls(self._pipeline, *layer.args, **layer.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request through the pipeline, anything else as the framework does."""
        if scope["type"] == "http":
            await self._pipeline(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
