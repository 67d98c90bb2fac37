"""A client of the admin API of a started service."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3


class Admin:
    """Commands a service whose admin port and token it has chosen; `settings` are what the service has to be given."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self.token = port, secrets.token_hex(32)
        file = folder / f"admin-{port}.token"
        file.write_text(f"{self.token}\n")
        self.settings = {"ADMIN__PORT": str(port), "ADMIN__TOKEN_FILE": str(file)}

    def request(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Over a connection of its own, so that any worker may get it."""
        given = {"authorization": f"Bearer {self.token}"} if headers is None else headers
        with urllib3.HTTPConnectionPool("127.0.0.1", self.port, retries=False, timeout=60) as pool:
            return pool.request(method, path, json=body, headers=given)

    def put(self, generation: int, **models: Any) -> Any:
        """Put a traffic document."""
        return self.request("PUT", "/admin/traffic", {"generation": generation, "models": models})

    def load(self, name: str, version: str) -> Any:
        return self.request("POST", f"/admin/models/{name}/versions/{version}/load")

    def unload(self, name: str, version: str) -> Any:
        return self.request("POST", f"/admin/models/{name}/versions/{version}/unload")

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the server says of each version."""
        models = self.request("GET", "/admin/models").json()["models"]
        return {(row["name"], row["version"]): row for row in models}
