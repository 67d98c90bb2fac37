"""Which limits a request is held against, and whose bucket of each: data about the caller, none about the answer."""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache

from starlette.types import Scope

from model_service.limits.buckets import Charge
from model_service.limits.limit import Limit
from model_service.limits.settings import Rule

SITE_PREFIX = 64
"""Length of the IPv6 network that one site is given: whoever has one address has all of them."""
Owner = Callable[[Scope, str], str | None]


@lru_cache(maxsize=4096)
def _site(address: str) -> str:
    try:
        return str(ipaddress.ip_network((address, SITE_PREFIX), strict=False))
    except ValueError:
        return address


def _key(scope: Scope, _: str) -> str | None:
    principal = scope["state"].get("principal")
    return principal.name if principal is not None and principal.kind == "key" else None


def _subject(scope: Scope, _: str) -> str | None:
    principal = scope["state"].get("principal")
    return None if principal is None else f"{principal.kind}:{principal.name}"


def _address(scope: Scope, _: str) -> str | None:
    client = scope.get("client")
    if client is None:
        return None
    return _site(client[0]) if ":" in client[0] else client[0]


def _model(_: Scope, model: str) -> str:
    return model


OWNERS: dict[str, Owner] = {"key": _key, "subject": _subject, "address": _address, "model": _model}
"""The caller by what a rule says `per`; null where the rule is not about this request."""


class Charging:
    """Finds the charges of a request.

    Args:
        rules: all of them.
        default_model: gives the name of the model that a path without one means.
    """

    def __init__(self, rules: Sequence[Rule], default_model: Callable[[], str]) -> None:
        self._limits = tuple((Limit.of(rule), OWNERS[rule.per], rule.model) for rule in rules)
        self._by_model = any(rule.model or rule.per == "model" for rule in rules)
        self._default_model = default_model

    def charges(self, scope: Scope, path: str) -> list[Charge]:
        """The limits that a request is held against, each with the caller."""
        model = self._named(path) if self._by_model else ""
        charges = []
        for limit, owner, only in self._limits:
            if only is None or only == model:
                caller = owner(scope, model)
                if caller is not None:
                    charges.append((limit, caller))
        return charges

    def _named(self, path: str) -> str:
        _, found, rest = path.partition("/models/")
        return rest.partition("/")[0] if found else self._default_model()
