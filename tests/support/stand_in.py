"""Servers with an admin port that keep to its contract and nothing more, for what has to go wrong on demand."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

from support.answering import Answering


class StandIn(Answering):
    """One server of a model with versions.

    Attributes:
        versions: that are published.
        refused: reasons by version, of those that cannot be served.
        interrupt: called once, before the next document is taken.
    """

    def __init__(self, token: str | None = None, versions: tuple[str, ...] = ("1", "2", "3")) -> None:
        super().__init__()
        self.token, self.versions = token, versions
        self.refused: dict[str, str] = {}
        self.loaded = {versions[0]}
        self.document: dict[str, Any] = {"generation": 0, "models": {}}
        self.interrupt: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def row(self, version: str) -> dict[str, Any]:
        entry = self.document["models"].get("churn") or {"default": self.versions[0]}
        shadow = entry.get("shadow") or {}
        return {
            "name": "churn",
            "version": version,
            "digest": f"sha256:{version * 64}",
            "state": "failed" if version in self.refused else "ready" if version in self.loaded else "available",
            "reason": self.refused.get(version),
            "bytes": 3 << 20 if version in self.loaded else None,
            "default": version == entry["default"],
            "pinned": False,
            "weight": entry.get("weights", {}).get(version, 0),
            "shadow": shadow["percent"] if shadow.get("version") == version else 0,
            "last_used": None,
        }

    def respond(self, method: str, path: str, headers: Message, body: bytes) -> tuple[int, Any]:
        if self.token is not None and headers.get("authorization") != f"Bearer {self.token}":
            return 401, _error("unauthorized", "a bearer token is needed")
        return self.answer(method, path, json.loads(body) if body else None)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if (method, path) == ("GET", "/admin/traffic"):
            return 200, self.document
        if (method, path) == ("PUT", "/admin/traffic"):
            return self._put(body)
        if (method, path) == ("GET", "/admin/models"):
            listing = {"budget_bytes": 64 << 20, "used_bytes": 3 << 20, "generation": self.document["generation"]}
            return 200, listing | {"models": [self.row(version) for version in self.versions]}
        return self._version(*path.split("/")[5:7])

    def _version(self, version: str, verb: str) -> tuple[int, Any]:
        if version not in self.versions:
            return 404, _error("model_not_found", f"churn version {version} is not published here")
        if version in self.refused:
            return 422, _error("model_unservable", self.refused[version])
        if verb == "unload" and self.row(version)["default"]:
            return 409, _error("conflict", f"churn version {version} is in use by traffic")
        (self.loaded.add if verb == "load" else self.loaded.discard)(version)
        return 200, self.row(version)

    def _put(self, document: Any) -> tuple[int, Any]:
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            interrupt()
        if document == self.document:
            return 200, self.document
        if document["generation"] <= self.document["generation"]:
            return 409, _error("conflict", f"generation {self.document['generation']} is in force")
        wanted = {version for entry in document["models"].values() for version in _needed(entry)}
        for version in wanted:
            if version in self.refused or version not in self.versions:
                return 409, _error("conflict", self.refused.get(version, f"version {version} is not published here"))
        self.loaded.update(wanted)
        self.document = document
        return 200, document


def _needed(entry: dict[str, Any]) -> list[str]:
    shadow = entry.get("shadow") or {}
    return [entry["default"], *entry.get("weights", {}), *([shadow["version"]] if shadow else [])]


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": code, "message": message, "detail": []}


@contextmanager
def serving(**options: Any) -> Iterator[StandIn]:
    """A stand-in under way."""
    with StandIn(**options).running() as server:
        yield server
