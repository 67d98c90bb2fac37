"""KServe's own model server, see `apps/kserve_server.py`; V1 protocol, whose large requests it answers faster.

Its batcher is a sidecar of the cluster and no part of this server. Everything else is as it comes: access and latency
lines on, gRPC on. One worker: with two, its supervisor kills each one that needs over five seconds to import, which on
a shared core is every one, again and again.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.contender import APPS, Ask, Contender, Launch, Row, Site, json_bytes


def _launch(site: Site) -> Launch:
    command = [
        str(site.python), str(APPS / "kserve_server.py"), "--http_port", str(site.port),
        "--grpc_port", str(site.spare_ports[0]), "--workers", str(site.workers),
    ]  # fmt: skip
    return Launch(command, {"MODEL": str(site.subject.joblib)})


def _ask(_: str, rows: Sequence[Row]) -> Ask:
    return Ask("/v1/models/model:predict", json_bytes({"instances": list(rows)}))


def _read(answer: Any) -> list[list[float]]:
    scores: list[list[float]] = answer["predictions"]
    return scores


CONTENDER = Contender(
    "kserve", "ModelServer as sklearnserver, V1 protocol", _launch, _ask, _read, "kserve", peer=True, most_workers=1
)
