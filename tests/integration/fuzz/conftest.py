"""A real server to attack, whose memory and exit are watched."""

import json
import shutil
from collections.abc import Iterator

import pytest
from support.ports import free_port
from support.releases import RELEASES
from support.service import Service, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(RELEASES[-1] / "models", folder / "models")
    manifest = folder / "models" / "iris" / "1" / "manifest.json"
    document = json.loads(manifest.read_text())
    del document["signature"]["rules"]  # OpenAPI cannot say them, and what it allows is to be accepted
    manifest.write_text(json.dumps(document))
    settings = {"MAX_BODY_BYTES": "200000", "LOG_LEVEL": "warning"}
    with running(folder / "models", free_port(), folder, **settings) as service:
        yield service
