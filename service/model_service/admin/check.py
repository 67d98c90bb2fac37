"""Whether the settings of the admin API can be."""

from model_service.access.gate import Gate
from model_service.errors import SettingsInvalid
from model_service.settings import Settings


def check(settings: Settings) -> None:
    """Refuse a start whose admin port would be open to everybody.

    Raises:
        SettingsInvalid: nothing says who may command, or the port is taken.
    """
    admin = settings.admin
    if not admin.port:
        return
    if admin.token_file is None and not settings.access.on:
        raise SettingsInvalid(
            "MODELPORT_ADMIN__PORT: the admin API needs to know who may use it: set MODELPORT_ADMIN__TOKEN_FILE to a "
            "file with a token, or turn access control on (MODELPORT_ACCESS__...) and give somebody the role admin"
        )
    if admin.port == settings.api_port:
        raise SettingsInvalid(f"MODELPORT_ADMIN__PORT: expected a port other than MODELPORT_API_PORT, got {admin.port}")
    Gate(settings.access, admin.token_file)  # so that a bad file is told at the start and not by every worker
