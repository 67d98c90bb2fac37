"""The layer of the request pipeline that refuses what is not allowed: everything that `policy` does not open."""

import logging
from collections.abc import Awaitable, Callable

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from model_service.access.errors import REALM, Forbidden, NotAuthenticated
from model_service.access.gate import Gate
from model_service.access.policy import About, Needs, Policy
from model_service.access.principal import Principal
from model_service.api.http import respond
from model_service.errors import ModelNotReady, ServiceError, error_body
from model_service.telemetry.requests import Exchange, exchange_of

audit = logging.getLogger("model_service.audit")
audit.setLevel(logging.INFO)  # whatever the level of the other logs
REFUSED = frozenset({401, 403, 429})
DefaultModel = Callable[[], str | None]


class Access:
    """Lets a request pass when its principal has the scope that its route needs.

    Args:
        app: the next layer; finds the principal in `scope["state"]["principal"]`.
        gate: says who is asking.
        default_model: name of the model that answers where none is named; null while none is loaded.
    """

    def __init__(self, app: ASGIApp, gate: Gate, default_model: DefaultModel) -> None:
        self._app, self._gate, self._default_model = app, gate, default_model
        self._policy = Policy(gate.settings.opened)
        self._exact = self._policy.exact

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request: at once when its route is open or its credential is known, else after a second look."""
        exchange = exchange_of(scope)
        needs = self._exact.get((exchange.method, exchange.path)) or self._policy.find(exchange.method, exchange.path)
        if needs is None:
            return self._look(None, scope, receive, send)
        if needs.scope is None:
            return self._app(scope, receive, send)
        principal = self._gate.known(exchange.headers)
        if principal is None or needs.scope not in principal.quick:
            return self._look(needs, scope, receive, send)
        _introduce(principal, scope, exchange)
        return self._app(scope, receive, send)

    async def _look(self, needs: Needs | None, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, address = exchange_of(scope), address_of(scope)
        answer = respond(error_body("not_found", "Not Found"), 404) if needs is None else self._app
        principal = None
        try:
            principal = await self._gate.recognise(exchange.headers, address)
            _introduce(principal, scope, exchange)
            self._allow(needs, principal)
        except ServiceError as error:
            answer = self._refusal(error)
        try:
            await answer(scope, receive, send)
        finally:
            if needs is not None and needs.scope == "admin":
                _note(principal, exchange, address)

    def _allow(self, needs: Needs | None, principal: Principal) -> None:
        if needs is None or needs.scope is None:
            return
        if needs.scope not in principal.scopes:
            has = ", ".join(sorted(principal.roles)) or "none"
            raise Forbidden(f"this needs the scope {needs.scope}; the roles of {principal.name}: {has}", needs.scope)
        if principal.models is None or needs.about is About.NOTHING:
            return
        if needs.about is About.EVERYTHING:
            raise Forbidden(f"this touches every model; {principal.name} is limited to some", needs.scope)
        model = needs.model if needs.about is About.NAMED else self._default_model()
        if model is None:
            raise ModelNotReady("the model is not loaded yet")
        if model not in principal.models:
            raise Forbidden(f"{principal.name} may not use the model {model}", needs.scope)

    def _refusal(self, error: ServiceError) -> ASGIApp:
        headers = dict(error.headers)
        if isinstance(error, NotAuthenticated) and self._gate.settings.basic:
            headers["WWW-Authenticate"] += f', Basic {REALM}, charset="UTF-8"'
        return respond(error.as_json(), error.status, headers)


def access_layers(gate: Gate | None, default_model: DefaultModel) -> list[Middleware]:
    """The layer, where access control is on."""
    return [] if gate is None else [Middleware(Access, gate=gate, default_model=default_model)]


def address_of(scope: Scope) -> str:
    """Where a request comes from, after trusted proxies."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _introduce(principal: Principal, scope: Scope, exchange: Exchange) -> None:
    scope["state"]["principal"] = principal
    exchange.known["principal"] = principal.name
    if exchange.span is not None:
        exchange.span.set_attribute("enduser.id", principal.name)


def _note(principal: Principal | None, exchange: Exchange, address: str) -> None:
    """One line of the audit log, for what was done and for what was refused."""
    outcome = "refused" if exchange.status in REFUSED else "done" if 0 < exchange.status < 400 else "failed"
    extra = {
        "outcome": outcome,
        "method": exchange.method,
        "path": exchange.path,
        "status": exchange.status,
        "principal": principal and principal.name,
        "kind": principal and principal.kind,
        "address": address,
        "request_id": exchange.request_id,
    }
    audit.info("%s %s: %s", exchange.method, exchange.path, outcome, extra=extra)
