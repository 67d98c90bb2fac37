"""The ways to prove who one is, in the OpenAPI document: what the Authorize button of /docs reads."""

from typing import Any

from model_service.access.policy import POLICY
from model_service.access.settings import AccessSettings

TOKEN_URL = "oauth/token"  # noqa: S105 - relative to the document
ROLE_MEANINGS = {"predict": "Predictions", "docs": "Documentation", "metrics": "Metrics", "admin": "Administration"}


def schemes(settings: AccessSettings) -> dict[str, Any]:
    """Security schemes of what is turned on, by name."""
    flow = {"tokenUrl": TOKEN_URL, "scopes": ROLE_MEANINGS}
    known: list[tuple[Any, str, str, dict[str, Any]]] = [
        (settings.keys_file, "key", "API key", {"type": "apiKey", "in": "header", "name": "X-API-Key"}),
        (settings.basic, "basic", "Name and password", {"type": "http", "scheme": "basic"}),
        (settings.token_key_file, "user", "User's token", {"type": "oauth2", "flows": {"password": flow}}),
        (settings.token_key_file, "client", "Client's token", {"type": "oauth2", "flows": {"clientCredentials": flow}}),
        (settings.jwt_issuer, "token", "Issuer's token", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
    ]
    return {name: {"description": about, **scheme} for on, name, about, scheme in known if on}


def protected(document: dict[str, Any], settings: AccessSettings) -> dict[str, Any]:
    """The document with the schemes, and each operation with what it asks for; as it is where access control is off."""
    if not settings.on:
        return document
    names = schemes(settings)
    document["components"]["securitySchemes"] = names
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needs = POLICY.get(f"{method.upper()} {path}")
            if needs is None or (needs.scope and needs.scope not in settings.opened):
                operation["security"] = [{name: []} for name in names]
    return document
