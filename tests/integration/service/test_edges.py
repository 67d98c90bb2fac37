"""What only a real server shows: TLS, proxies, slow and greedy clients, connections that live on."""

import gzip
import http.client
import json
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3
from support.ports import free_port
from support.releases import RELEASES
from support.service import Service, running, wait_for

from model_service.settings import Settings

ROOT = RELEASES[-1] / "models"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
MIB = 1 << 20
KEEP_ALIVE = 5
"""Seconds."""


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    return lambda tls=None, **settings: running(ROOT, free_port(), tmp_path, tls, **settings)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for the tests that do not need settings of their own."""
    with served(tmp_path_factory.mktemp("plain")) as service:
        yield service


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short timeouts."""
    folder = tmp_path_factory.mktemp("hasty")
    with served(folder, READ_TIMEOUT_SECONDS="0.5", KEEP_ALIVE_SECONDS=f"{KEEP_ALIVE}") as service:
        yield service


@contextmanager
def served(folder: Path, **settings: str) -> Iterator[Service]:
    """A service that has answered once, on a connection that is not kept."""
    with running(ROOT, free_port(), folder, **settings) as service:
        service.request("POST", "/predict", json=ROW, headers={"connection": "close"})
        yield service


def exchange(service: Service, *pieces: bytes) -> bytes:
    """Send, then read until the server closes."""
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        with suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
        answer = b""
        with suppress(ConnectionError):
            while piece := client.recv(65536):
                answer += piece
        return answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    issued = ca.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
    ca.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return ca, folder


def test_https_with_a_certificate(serve: Any, authority: tuple[trustme.CA, Path]) -> None:
    _, folder = authority
    files = {"TLS_CERT_FILE": str(folder / "server.crt"), "TLS_KEY_FILE": str(folder / "server.key")}
    with serve({"ca_certs": str(folder / "ca.pem")}, **files) as service:
        assert service.request("POST", "/predict", json=ROW).json()["prediction_class"] == "setosa"
        assert not exchange(service, b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").startswith(b"HTTP/1.1 200")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(folder / "ca.pem")
        with (
            socket.create_connection(("127.0.0.1", service.port), 10) as raw,
            old.wrap_socket(raw, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.version() == "TLSv1.3"


def test_clients_show_certificates_where_an_authority_is_set(serve: Any, authority: tuple[trustme.CA, Path]) -> None:
    _, folder = authority
    files = {"TLS_CERT_FILE": str(folder / "both.pem"), "TLS_CLIENT_CA_FILE": str(folder / "ca.pem")}
    known = {"ca_certs": str(folder / "ca.pem"), "cert_file": str(folder / "client.pem")}
    with serve(known, **files) as service:
        assert service.request("POST", "/predict", json=ROW).status == 200
        with (
            urllib3.HTTPSConnectionPool(
                "127.0.0.1", service.port, ca_certs=known["ca_certs"], retries=False
            ) as unknown,
            pytest.raises(urllib3.exceptions.HTTPError),
        ):
            unknown.request("GET", "/health")


@pytest.mark.parametrize(("trusted", "scheme"), [("", "http"), ("127.0.0.1", "https"), ("10.0.0.0/8", "http")])
def test_only_trusted_proxies_say_how_the_client_came(serve: Any, trusted: str, scheme: str) -> None:
    with serve(TRUSTED_PROXIES=trusted) as service:
        headers = {"x-forwarded-proto": "https", "host": "model.example"}
        moved = service.request("GET", "/docs/", headers=headers, redirect=False)
        assert moved.headers["location"] == f"{scheme}://model.example/docs"


def test_a_bomb_is_refused_with_little_memory(plain: Service) -> None:
    compressor = zlib.compressobj(9, wbits=31)
    bomb = b"".join(compressor.compress(bytes(MIB)) for _ in range(1024)) + compressor.flush()
    assert len(bomb) < 2 * MIB
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    valid = gzip.compress(json.dumps(ROW).encode())
    assert plain.request("POST", "/predict", body=valid, headers=headers).status == 200
    before = plain.peak_bytes()
    for _ in range(3):
        refused = plain.request("POST", "/predict", body=bomb, headers=headers)
        assert (refused.status, refused.json()["error"]) == (413, "payload_too_large")
    assert plain.peak_bytes() - before < 20 * MIB


def test_a_megabyte_of_headers_is_refused_and_not_kept(plain: Service) -> None:
    before = plain.peak_bytes()
    for _ in range(20):
        answer = exchange(plain, b"GET /health HTTP/1.1\r\n", *[b"x-large: %b\r\n" % (b"y" * 1000)] * 1000)
        assert answer.startswith(b"HTTP/1.1 431") or not answer  # when more was sent than read, the kernel may drop it
    assert plain.peak_bytes() - before < 4 * MIB
    limit = Settings().max_head_bytes
    fits = exchange(plain, b"GET /health HTTP/1.1\r\nconnection: close\r\nx: %b\r\n\r\n" % (b"y" * (limit - 1000)))
    assert fits.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("begun", [b"GET /hea", b"POST /predict HTTP/1.1\r\ncontent-length: 10\r\n\r\n{"])
def test_a_client_that_stops_sending_is_told_so(hasty: Service, begun: bytes) -> None:
    started = time.monotonic()
    answer = exchange(hasty, begun)
    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "request_timeout"
    assert 0.4 < time.monotonic() - started < 25, "the default is 30"
    wait_for(lambda: timed_out(hasty) == [True], hasty.told)


def timed_out(service: Service) -> list[bool]:
    """Of each series of requests that did not arrive whole: whether it counted any."""
    counted = service.request("GET", "/metrics", headers={"connection": "close"}).data.decode()
    series = [line for line in counted.splitlines() if "_seconds_count{" in line and 'status_code="408"' in line]
    return [float(line.rpartition(" ")[2]) >= 1 for line in series]


def test_idle_connections_are_kept_as_long_as_the_setting_says(hasty: Service) -> None:
    client = http.client.HTTPConnection("127.0.0.1", hasty.port, timeout=60)
    for _ in range(2):
        started = time.monotonic()
        client.request("GET", "/health")
        assert client.getresponse().read()
        kept = client.sock
        time.sleep(1)  # longer than a request may take to arrive, shorter than a connection may be idle
    assert client.sock is kept
    assert client.sock.recv(1) == b""
    assert KEEP_ALIVE - 0.1 < time.monotonic() - started < 50, "the default is 75"
    client.close()
    assert Settings().keep_alive_seconds > 60  # the idle time of common load balancers
