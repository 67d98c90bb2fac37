"""`POST /oauth/token`: tokens of our own for a password or a client's secret (RFC 6749, sections 4.3 and 4.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Request, Response

from model_service.access.errors import InvalidClient, InvalidGrant, TokenRefused, UnsupportedGrantType
from model_service.access.layer import address_of
from model_service.access.settings import AccessSettings
from model_service.access.verifying import basic_pair
from model_service.api.http import respond

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 16
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIELDS = ("grant_type", "username", "password", "client_id", "client_secret", "scope")
_SCHEMA = {"type": "object", "required": ["grant_type"], "properties": {name: {"type": "string"} for name in _FIELDS}}


@dataclass(frozen=True)
class Grant:
    """A way to a token: which fields name and prove somebody, who may use it, and what the others are told."""

    name: str
    secret: str
    for_clients: bool
    refusal: TokenRefused


GRANTS: Mapping[str, Grant] = {
    "password": Grant("username", "password", False, InvalidGrant("the name or the password is wrong")),
    "client_credentials": Grant("client_id", "client_secret", True, InvalidClient("the client or its secret is wrong")),
}
router = APIRouter(tags=["access"])


@router.post(
    "/oauth/token",
    summary="Get a token",
    openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": _SCHEMA}}}},
    response_class=Response,
    responses={
        200: {"description": "access_token, token_type, expires_in and scope"},
        400: {"description": "The request makes no sense, or name or password is wrong"},
        401: {"description": "The client's secret is wrong"},
        429: {"description": "Too many wrong passwords"},
    },
)
async def token(request: Request) -> Response:
    """Answer a token for the password grant (users) or the client-credentials grant (clients); `scope` lists roles."""
    form = await _form(request)
    grant = GRANTS.get(form.get("grant_type", ""))
    if grant is None:
        raise UnsupportedGrantType(f"grant_type: expected {' or '.join(GRANTS)}")
    verifier = request.app.state.gate.verifier
    name, secret = form.get(grant.name, ""), form.get(grant.secret, "")
    user = await verifier.check(name, secret, address_of(request.scope))
    if user is None or user.client != grant.for_clients:
        raise type(grant.refusal)(str(grant.refusal))
    signed, seconds, roles = verifier.accounts.sign(user, form.get("scope", "").split())
    body = {"access_token": signed, "token_type": "Bearer", "expires_in": seconds, "scope": " ".join(roles)}
    return respond(body, headers=NO_STORE)


def access_routers(settings: AccessSettings) -> list[APIRouter]:
    """The router, where there are keys to sign tokens with."""
    return [router] if settings.token_key_file else []


async def _form(request: Request) -> dict[str, str]:
    """The fields of the body; those of a client may come as HTTP Basic instead (RFC 6749, section 2.3.1).

    Raises:
        TokenRefused: it is no form, or gives a field twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise TokenRefused(f"expected content-type {FORM}")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise TokenRefused(f"expected a form of at most {MOST_FIELDS} fields") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise TokenRefused("a field is given twice")
    return form | _client(request.headers.get("authorization", ""))


def _client(authorization: str) -> dict[str, str]:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    pair = basic_pair(given)
    if pair is None:
        raise InvalidClient("the Authorization header is not base64 of client:secret")
    name, secret = map(unquote_plus, pair)
    return {"client_id": name, "client_secret": secret}
