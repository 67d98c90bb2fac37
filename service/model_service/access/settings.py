"""The settings `MODELPORT_ACCESS__*`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, model_validator

from model_service.access.principal import ROLES, Scope
from model_service.setting_types import Group, Names


def _pairs(items: Sequence[str]) -> Sequence[str]:
    for item in items:
        value, _, role = item.partition("=")
        if not value or role not in ROLES:
            raise ValueError(f"expected value=role with a role of {', '.join(ROLES)}, got {item!r}")
    return items


class AccessSettings(Group):
    """Who may touch the service: a file or an issuer turns access control on; then what is not allowed is refused."""

    keys_file: FilePath | None = Field(None, description="YAML or JSON list of API keys; read again when it changes.")
    users_file: FilePath | None = Field(
        None, description="YAML or JSON list of users and clients with argon2 hashes; read again when it changes."
    )
    basic: bool = Field(False, description="Let the users in with HTTP Basic.")
    token_key_file: FilePath | None = Field(
        None, description="PEM private keys; the first signs the tokens that POST /oauth/token gives to the users."
    )
    token_seconds: int = Field(900, ge=30, le=86400, description="Life of such a token.")
    jwt_issuer: str | None = Field(
        None, pattern=r"^https?://", description="OpenID Connect issuer whose access tokens are taken."
    )
    jwt_audience: str | None = Field(None, description="Audience that the issuer's tokens must name.")
    jwt_ca_file: FilePath | None = Field(None, description="PEM authorities of the issuer, instead of the system's.")
    jwt_roles_claim: str = Field(
        "roles", min_length=1, description="Claim with the roles; dots lead into objects, as in realm_access.roles."
    )
    jwt_roles: Annotated[Names, AfterValidator(_pairs)] = Field(
        (), description="More values of that claim and their roles, as in ml-team=predict, with commas between."
    )
    jwt_models_claim: str = Field(
        "models", min_length=1, description="Claim with the models that a token is for; without it, all."
    )
    jwt_required_claims: Names = Field((), description="More claims that a token must have, with commas between.")
    jwt_skew_seconds: float = Field(30, ge=0, le=300, description="Difference of clocks that is forgiven.")
    open_docs: bool = Field(False, description="Show /docs, /redoc and /openapi.json to everybody.")
    open_metrics: bool = Field(False, description="Show /metrics to everybody who reaches the port.")

    @property
    def on(self) -> bool:
        """Whether anybody has to say who they are."""
        return bool(self.keys_file or self.users_file or self.jwt_issuer)

    @property
    def opened(self) -> Sequence[Scope]:
        """Scopes that everybody has."""
        switches: Mapping[Scope, bool] = {"docs": self.open_docs, "metrics": self.open_metrics}
        return [scope for scope, is_open in switches.items() if is_open]

    @property
    def role_of_claim(self) -> Mapping[str, str]:
        """The role for each value of the roles claim."""
        return {role: role for role in ROLES} | dict(pair.split("=", 1) for pair in self.jwt_roles)

    @model_validator(mode="after")
    def _complete(self) -> "AccessSettings":
        if (self.basic or self.token_key_file) and not self.users_file:
            raise ValueError("basic and token_key_file need users_file: it says who the users are")
        if self.users_file and not (self.basic or self.token_key_file):
            raise ValueError("users_file needs basic or token_key_file: they say how the users come in")
        if self.jwt_issuer and not self.jwt_audience:
            raise ValueError("jwt_issuer needs jwt_audience: tokens that the issuer made for others would be taken")
        if not self.on and (self.open_docs or self.open_metrics or self.jwt_audience):
            raise ValueError("access control is off; give keys_file, users_file or jwt_issuer")
        return self
