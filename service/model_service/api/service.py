"""FastAPI as both ports use it."""

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Service(FastAPI):
    """FastAPI with the request pipeline around it instead of inside: a hot request does not enter the framework."""

    _pipeline: ASGIApp

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
