"""What asking who it is, and how often, costs a request: an API key, a token seen before, a limit of rates."""

import contextlib
import http.client
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from argon2 import PasswordHasher
from benchmarks.serving import answers, race
from benchmarks.serving.contender import Ask, Row
from benchmarks.serving.contenders import modelport
from benchmarks.serving.errors import FailedRequests
from benchmarks.serving.figures import Figure
from benchmarks.serving.race import MAIN
from benchmarks.serving.server import Server, running
from benchmarks.serving.timings.stage import Stage
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NAME, SECRET = "bench", "a-secret-of-the-benchmark"
PAIRS = 3
RULES = json.dumps([{"per": "address", "rate": "1000000/second"}])

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Way:
    """Settings of the server, and what gets the headers that a client sends to it."""

    settings: Mapping[str, str]
    headers: Callable[[Server], Headers] = lambda _: {}


def measure(stage: Stage) -> Sequence[Figure]:
    """Throughput that each takes, in percent of that without any, as the median of pairs of loads.

    A server with it and one without run side by side and are loaded in turn: what the machine does, it does to both.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-access-") as folder:
        ways = _ways(Path(folder))
        taken: dict[str, list[float]] = defaultdict(list)
        for _ in range(stage.rounds):
            for name, way in ways.items():
                with _serving(stage, Way({})) as alone, _serving(stage, way) as asking:
                    taken[name] += [_taken(stage, alone, asking) for _ in range(PAIRS)]
    return [
        Figure(f"ONNX, logistic: throughput taken by {name}", median(seen), "%", "<", 5) for name, seen in taken.items()
    ]


def _ways(folder: Path) -> Mapping[str, Way]:
    keys, users, signing = folder / "keys.json", folder / "users.json", folder / "signing.pem"
    digest = f"sha256:{sha256(SECRET.encode()).hexdigest()}"
    keys.write_text(json.dumps([{"name": NAME, "hash": digest, "roles": ["predict"]}]))
    users.write_text(
        json.dumps([{"name": NAME, "client": True, "hash": PasswordHasher().hash(SECRET), "roles": ["predict"]}])
    )
    private = ec.generate_private_key(ec.SECP256R1())
    signing.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tokens = {"MODELPORT_ACCESS__USERS_FILE": str(users), "MODELPORT_ACCESS__TOKEN_KEY_FILE": str(signing)}
    return {
        "API keys": Way({"MODELPORT_ACCESS__KEYS_FILE": str(keys)}, lambda _: {"X-API-Key": SECRET}),
        "tokens (JWT) seen before": Way(tokens, _token),
        "a local limit of rates": Way({"MODELPORT_LIMITS__RULES": RULES}),
    }


def _token(server: Server) -> Headers:
    form = {"grant_type": "client_credentials", "client_id": NAME, "client_secret": SECRET}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        given = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/token", urlencode(form), given)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise FailedRequests(f"no token: {response.status} {body[:300]!r}")
    return {"Authorization": f"Bearer {json.loads(body)['access_token']}"}


@contextlib.contextmanager
def _serving(stage: Stage, way: Way) -> Iterator[Server]:
    subject = stage.subjects["logistic"]
    with running(modelport.ONNX, subject, stage.collector, extra=way.settings, ready=answers.is_healthy) as server:
        headers = way.headers(server)

        def ask(model: str, rows: Sequence[Row]) -> Ask:
            return replace(modelport.ask(model, rows), headers=headers)

        server.contender = replace(server.contender, ask=ask)
        yield server


def _taken(stage: Stage, alone: Server, asking: Server) -> float:
    """Percent of the throughput."""
    seconds = stage.seconds / PAIRS
    return (1 - race.measure(asking, MAIN, seconds).rps / race.measure(alone, MAIN, seconds).rps) * 100
