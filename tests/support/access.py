"""Credentials: keys, password hashes, signing keys, and an OpenID Connect issuer that speaks real HTTP."""

import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.answering import in_thread

AUDIENCE = "modelport-tests"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""Argon2, as real as any and quick."""
MAKERS: Mapping[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def key_entry(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "hash": f"sha256:{sha256(key.encode()).hexdigest()}", **more}


def user_entry(name: str, password: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "hash": CHEAP.hash(password), **more}


def pem(private: Any) -> bytes:
    text: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text


def public_jwk(private: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithms = jwt.algorithms.get_default_algorithms()
    for name, maker in (("RS256", rsa.RSAPrivateKey), ("ES256", ec.EllipticCurvePrivateKey)):
        if isinstance(private, maker):
            return algorithms[name].to_jwk(private.public_key(), as_dict=True) | {"kid": kid} | more
    return algorithms["EdDSA"].to_jwk(private.public_key(), as_dict=True) | {"kid": kid} | more


class Issuer:
    """Signs tokens and publishes the keys.

    Attributes:
        keys: what it publishes.
        fetches: paths that were asked for.
        failing: answers 500 to everything.
        called: what it calls itself, when that is not its address.
    """

    def __init__(self, url: str) -> None:
        self.url, self.called = url, url
        self.keys: list[dict[str, Any]] = []
        self.fetches: list[str] = []
        self.failing = False
        self._private: dict[str, tuple[Any, str]] = {}

    def add(self, kid: str, algorithm: str = "ES256", **more: Any) -> None:
        private = MAKERS[algorithm]()
        self._private[kid] = private, algorithm
        self.keys.append(public_jwk(private, kid, **more))

    def remove(self, kid: str) -> None:
        self.keys = [key for key in self.keys if key["kid"] != kid]

    def token(self, kid: str, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        private, algorithm = self._private[kid]
        now = time.time()
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, "roles": ["predict"]}
        payload = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(payload, private, algorithm, {"kid": kid} | dict(headers or {}))

    def answer(self, path: str) -> Any:
        self.fetches.append(path)
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.called, "jwks_uri": f"{self.url}/keys"}
        return {"keys": self.keys}


@contextmanager
def issuing(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Issuer]:
    """An issuer on 127.0.0.1, called localhost when it speaks HTTPS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(issuer.answer(self.path)).encode()
            self.send_response(500 if issuer.failing else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    issuer = Issuer(f"{'https://localhost' if tls else 'http://127.0.0.1'}:{server.server_port}")
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with in_thread(server):
        yield issuer


def write_json(path: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    path.write_text(json.dumps(entries, default=str))
