"""The settings `MODELPORT_LIMITS__*`: the table of rules, and the Redis that lets pods count together."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, FilePath

from model_service.setting_types import Group, parsed

WINDOWS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOST_A_SECOND = 10**6
_NAME = r"^[A-Za-z0-9._-]{1,64}$"


def _countable(rate: str) -> str:
    quota, _, window = rate.partition("/")
    if int(quota) > MOST_A_SECOND * WINDOWS[window]:
        raise ValueError(f"more than {MOST_A_SECOND} a second cannot be counted")
    return rate


class Rule(Group):
    """One limit; every caller that `per` tells apart has a bucket of its own.

    Attributes:
        per: `key` (API key), `subject` (whoever was let in, however), `address`, or `model`.
        rate: requests in a time, `100/minute`.
        burst: requests that may come at once after a pause; as many as the rate says when left out.
        model: count only requests for this model.
        name: of the limit in headers, logs and metrics; made of `per` and `model` when left out.
    """

    per: Literal["key", "subject", "address", "model"]
    rate: Annotated[str, AfterValidator(_countable)] = Field(pattern=rf"^[1-9][0-9]{{0,9}}/({'|'.join(WINDOWS)})$")
    burst: int | None = Field(None, ge=1, le=10**8)
    model: str | None = Field(None, pattern=_NAME)
    name: str | None = Field(None, pattern=_NAME)

    @property
    def label(self) -> str:
        """Its name."""
        return self.name or (f"{self.per}.{self.model}" if self.model else self.per)

    @property
    def quota(self) -> int:
        """Requests in one window."""
        return int(self.rate.partition("/")[0])

    @property
    def window(self) -> int:
        """Length of the window in seconds."""
        return WINDOWS[self.rate.partition("/")[2]]


def _told_apart(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    labels = [rule.label for rule in rules]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"two rules are called {label!r}: give one of them another name")
    return rules


def _redis(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError("expected redis://[user@]host[:port][/database], or rediss:// for TLS")
    if parts.password is not None:
        raise ValueError("the password belongs into a file, which redis_password_file names")
    return url


class LimitsSettings(Group):
    """How often the service may be asked; without rules as often as it can answer."""

    rules: Annotated[tuple[Rule, ...], BeforeValidator(parsed), AfterValidator(_told_apart)] = Field(
        (), description="JSON or YAML list of {per: key|subject|address|model, rate: 100/minute, burst, model, name}."
    )
    redis_url: Annotated[str, AfterValidator(_redis)] | None = Field(
        None,
        description="redis:// or rediss:// address where all pods count together; each on its own when left out.",
    )
    redis_password_file: FilePath | None = Field(None, description="File that holds the password of the Redis.")
    redis_ca_file: FilePath | None = Field(None, description="PEM authorities of a rediss:// address.")
    redis_prefix: str = Field("modelport", description="What the names of its keys begin with: one for each service.")
    redis_timeout_ms: float = Field(
        50, gt=0, le=5000, description="Longest wait for the Redis; after it the pod counts on its own."
    )
