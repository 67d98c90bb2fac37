"""The layer of the request pipeline that holds requests against the limits; there is none where there are no rules."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from model_service.api.http import respond
from model_service.limits.buckets import Buckets, Charge, Taken
from model_service.limits.charging import Charging
from model_service.limits.settings import Rule
from model_service.limits.shared import SharedBuckets
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.requests import PROBES, Exchange, exchange_of

Headers = tuple[tuple[bytes, bytes], ...]


class Limits:
    """Charges every request but probes and scrapes, says what is left, and refuses the one that passes a limit.

    Args:
        app: the next layer; those before it know the caller.
        rates: the limits, and who has used how much of them.
        metrics: count refusals by limit.
    """

    def __init__(self, app: ASGIApp, rates: "Rates", metrics: Metrics) -> None:
        self._app, self._charging = app, rates.charging
        self._buckets, self._shared = rates.buckets, rates.shared
        self._metrics = metrics

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request."""
        exchange = exchange_of(scope)
        if exchange.path in PROBES:
            return self._app(scope, receive, send)
        charges = self._charging.charges(scope, exchange.path)
        if not charges:
            return self._app(scope, receive, send)
        if self._shared is not None and self._shared.answers:
            return self._ask(self._shared, charges, scope, receive, send)
        taken = self._buckets.take(charges, exchange.started)
        return self._follow(taken, charges, exchange)(scope, receive, send)

    async def _ask(
        self, shared: SharedBuckets, charges: list[Charge], scope: Scope, receive: Receive, send: Send
    ) -> None:
        exchange = exchange_of(scope)
        taken = await shared.take(charges) or self._buckets.take(charges, exchange.started)
        await self._follow(taken, charges, exchange)(scope, receive, send)

    def _follow(self, taken: Taken, charges: list[Charge], exchange: Exchange) -> ASGIApp:
        """What answers the request: the application, or a refusal. Tells the client what is left in either case."""
        allowed, backlogs = taken
        exchange.headers_out += _told(charges, backlogs)
        return self._app if allowed else self._refused(charges, backlogs, exchange)

    def _refused(self, charges: list[Charge], backlogs: list[float], exchange: Exchange) -> ASGIApp:
        waits = [(limit.wait(backlog), limit) for (limit, _), backlog in zip(charges, backlogs, strict=True)]
        seconds, limit = max(waits, key=lambda pair: pair[0])
        self._metrics.counter("rate_limited_requests_total", limit.label).add()
        exchange.known["rate_limit"] = limit.label
        error = limit.refusal(seconds)
        return respond(error.as_json(), error.status, error.headers)


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits, and who has used how much of them.

    Attributes:
        charging: knows the limits.
        buckets: of this pod.
        shared: those of all pods, where there are.
    """

    charging: Charging
    buckets: Buckets
    shared: SharedBuckets | None

    def charges(self, scope: Scope, path: str) -> list[Charge]:
        """The limits that a request is held against, each with the caller."""
        return self.charging.charges(scope, path)

    def take(self, charges: Sequence[Charge], now: float) -> bytes | None:
        """Charge a request and return what the client is told, as lines of the answer's head.

        Returns:
            None where the layer has to see the request, because it can wait, and refuse.
        """
        if self.shared is not None and self.shared.answers:
            return None
        if not charges:
            return b""
        allowed, backlogs = self.buckets.take(charges, now)
        if not allowed:
            return None
        if len(charges) == 1:
            return charges[0][0].lines(backlogs[0])
        return b"".join([b"%b: %b\r\n" % header for header in _told(charges, backlogs)])


def make_rates(
    rules: Sequence[Rule], buckets: Buckets | None, shared: SharedBuckets | None, default_model: Callable[[], str]
) -> Rates | None:
    """The limits of these rules; none without any, and with buckets of its own for a process alone."""
    return Rates(Charging(rules, default_model), buckets or Buckets(), shared) if rules else None


def limit_layers(rates: Rates | None, metrics: Metrics) -> list[Middleware]:
    """The layer, where there are limits."""
    return [] if rates is None else [Middleware(Limits, rates=rates, metrics=metrics)]


def _told(charges: Sequence[Charge], backlogs: list[float]) -> Headers:
    """The headers of an answer."""
    policy = b", ".join([limit.policy for limit, _ in charges])
    state = b", ".join([limit.state(backlog) for (limit, _), backlog in zip(charges, backlogs, strict=True)])
    return (b"ratelimit-policy", policy), (b"ratelimit", state)
