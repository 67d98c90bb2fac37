"""How a Redis is reached: without a password, as a user, over TLS, and not at all without its package."""

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from support.redis import RedisServer

from model_service.errors import SettingsInvalid
from model_service.limits.limit import Limit
from model_service.limits.settings import LimitsSettings, Rule
from model_service.limits.shared import SharedBuckets
from model_service.telemetry.metrics import Metrics
from model_service.telemetry.series import SharedSeries

LIMIT = Limit.of(Rule(per="address", rate="10/day"))


def settings(url: str, **more: Any) -> LimitsSettings:
    return LimitsSettings.model_validate({"redis_url": url, "redis_timeout_ms": 5000} | more)


async def reached(given: LimitsSettings) -> bool:
    buckets = SharedBuckets(given, Metrics(SharedSeries(1), 0, (1.0,)))
    await buckets.start()
    try:
        return buckets.answers and await buckets.take([(LIMIT, "a")]) is not None
    finally:
        await buckets.stop()


@contextlib.asynccontextmanager
async def encrypted(port: int, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """Speak TLS in front of a port; gives the one to connect to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            await asyncio.gather(carry(reader, inner[1]), carry(inner[0], writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def test_without_a_password(free_port: Callable[[], int]) -> None:
    server = RedisServer(free_port())
    server.start()
    try:
        assert asyncio.run(reached(settings(server.url)))
    finally:
        server.kill()


def test_as_a_user(redis_server: RedisServer, tmp_path: Path) -> None:
    with redis.Redis(port=redis_server.port, password=redis_server.password) as client:
        client.acl_setuser("pod/1", enabled=True, passwords=["+p@ss"], keys=["limits:*"], commands=["+@all"])
    (tmp_path / "password of the user").write_text("p@ss\n")
    url = redis_server.url.replace("//", "//pod%2F1@")
    given = settings(url, redis_password_file=tmp_path / "password of the user", redis_prefix="limits")
    assert asyncio.run(reached(given))
    assert not asyncio.run(reached(given.model_copy(update={"redis_prefix": "elsewhere"})))


def test_over_tls(redis_server: RedisServer, password_file: Path, tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())

    async def test(certificate: trustme.LeafCert, **more: Any) -> bool:
        async with encrypted(redis_server.port, certificate) as port:
            given = settings(f"rediss://127.0.0.1:{port}/0", redis_password_file=password_file, **more)
            return await reached(given)

    ours = authority.issue_cert("127.0.0.1")
    assert asyncio.run(test(ours, redis_ca_file=tmp_path / "ca.pem"))
    assert not asyncio.run(test(ours))
    assert not asyncio.run(test(authority.issue_cert("elsewhere"), redis_ca_file=tmp_path / "ca.pem"))
    assert "certificate verify failed" in caplog.text.lower()


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(SettingsInvalid, match=r"pip install 'modelport\[redis\]'"):
        SharedBuckets(settings("redis://127.0.0.1"), Metrics(SharedSeries(1), 0, (1.0,)))
