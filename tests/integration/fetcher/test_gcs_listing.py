"""Listings of Google Cloud Storage that come in pages."""

import json
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from model_artifact.delivery import NotFound

PAGE = 1000
"""Entries that the service gives at once."""


@dataclass
class Paged:
    """Stands before the emulator, which lists in one answer, and lists by the thousand as the service does.

    The listing of `prefix` begins with `plain` more objects, as though they had been there first.
    """

    web: Any
    emulator: str
    prefix: str
    plain: int

    def __post_init__(self):
        self.web.answer = self.answer

    def pages(self):
        """How many were asked for."""
        return sum(urlsplit(path).path.endswith("/o") for path, _ in self.web.requests)

    def answer(self, handler):
        self.web.requests.append((handler.path, handler.headers))
        headers = {name: value for name, value in handler.headers.items() if name in {"Range", "Accept"}}
        answer = requests.get(f"{self.emulator}{handler.path}", headers=headers, timeout=60)
        body = answer.content
        passed = {name: answer.headers[name] for name in ("Content-Range", "X-Goog-Hash") if name in answer.headers}
        url = urlsplit(handler.path)
        if answer.ok and url.path.endswith("/o"):
            query = {"prefix": [""], "pageToken": ["0"]} | parse_qs(url.query)
            body = self.page(json.loads(body), query["prefix"][0], int(query["pageToken"][0]))
        handler.send_response(answer.status_code)
        for name, value in {"Content-Length": str(len(body)), **passed}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def page(self, listing, prefix, start):
        rows = [("items", {"name": f"{prefix}{number:06}"}) for number in range(self.plain * (prefix == self.prefix))]
        rows += [("items", item) for item in listing["items"]] + [("prefixes", name) for name in listing["prefixes"]]
        end = start + PAGE
        found = {kind: [row for of, row in rows[start:end] if of == kind] for kind in ("items", "prefixes")}
        return json.dumps(found | ({"nextPageToken": str(end)} if end < len(rows) else {})).encode()


@pytest.fixture
def paged(emulated, web, monkeypatch):
    """Makes the emulator list as though thousands of objects came first."""

    def make(prefix, plain):
        front = Paged(web, os.environ["STORAGE_EMULATOR_HOST"], prefix, plain)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.uri("").rstrip("/"))
        return front

    return make


@pytest.mark.parametrize("plain", [999, 1000, 2500])
def test_version_folders_are_found_behind_any_number_of_objects(emulated, paged, pack, fetch, plain):
    for version in ("v9", "v10"):
        pack(version=version).into(emulated, f"churn/{version}")
    paged("churn/", plain)
    assert fetch("gs://models/churn").version == "v10"


def test_hints_do_not_read_a_whole_bucket(paged, fetch):
    front = paged("", 2500)
    with pytest.raises(NotFound, match=r"there is gs://models/000"):
        fetch("gs://models/000001.onnx")
    assert front.pages() == 2  # one below the URI, one beside it
