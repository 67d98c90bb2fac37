"""The settings `MODELPORT_ADMIN__*`."""

from pydantic import Field, FilePath

from model_service.setting_types import Group, Port


class AdminSettings(Group):
    """Commands to a running server: load, unload, traffic."""

    port: Port = Field(0, description="Port of the admin API; 0 leaves it off.")
    host: str = Field("127.0.0.1", description="Address that the admin API listens on.")
    token_file: FilePath | None = Field(
        None, description="File with the token that commands must bear; read again when it changes."
    )
