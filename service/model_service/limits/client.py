"""The client of the Redis: an optional package, a password that may change, an authority of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from model_service.errors import SettingsInvalid
from model_service.limits.settings import LimitsSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_SECONDS = 1.0


def connect(url: str, settings: LimitsSettings) -> "Redis":
    """A client that connects when it is first used, and once again when that connection was closed for idleness.

    Raises:
        SettingsInvalid: the package is not installed, or the password cannot be read.
    """
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - optional
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError as error:
        raise SettingsInvalid("MODELPORT_LIMITS__REDIS_URL needs a package: pip install 'modelport[redis]'") from error
    given: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 1), "socket_connect_timeout": CONNECT_SECONDS, "socket_keepalive": True,
    }  # fmt: skip
    if settings.redis_password_file is not None:
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        given["credential_provider"] = Credentials(parts.username, settings.redis_password_file)
    if settings.redis_ca_file is not None:
        given["ssl_ca_certs"] = str(settings.redis_ca_file)
    return Redis.from_url(url, **given)


class Credentials:
    """Reads the password anew for each connection, so that it can be changed; in the form that redis-py asks for."""

    def __init__(self, username: str | None, password_file: Path) -> None:
        self._username, self._password_file = username, password_file
        self.get_credentials()

    def get_credentials(self) -> tuple[str, ...]:
        """The user, where there is one, and the password.

        Raises:
            SettingsInvalid: the file cannot be read.
        """
        try:
            password = self._password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(
                f"MODELPORT_LIMITS__REDIS_PASSWORD_FILE: {self._password_file} cannot be read: {error}"
            ) from error
        return (password,) if self._username is None else (unquote(self._username), password)

    async def get_credentials_async(self) -> tuple[str, ...]:
        """As `get_credentials`."""
        return self.get_credentials()
