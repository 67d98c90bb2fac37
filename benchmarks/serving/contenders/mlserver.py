"""MLServer with its scikit-learn runtime; adaptive batching, as its guide advises for vectorised inference."""

from collections.abc import Sequence
from typing import Any

from benchmarks.serving.contender import Ask, Contender, Launch, Row, Site, json_bytes

BATCH_REQUESTS = 32
BATCH_SECONDS = 0.005


def _launch(site: Site) -> Launch:
    model = {
        "name": site.subject.name,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": BATCH_REQUESTS,
        "max_batch_time": BATCH_SECONDS,
        "parameters": {"uri": str(site.subject.joblib), "version": "1"},
    }
    server = {
        "http_port": site.port,
        "grpc_port": site.spare_ports[0],
        "metrics_port": site.spare_ports[1],
        "parallel_workers": site.workers if site.workers > 1 else 0,  # 0: in the server's own process
        "debug": False,
    }
    (site.folder / "model-settings.json").write_bytes(json_bytes(model))
    (site.folder / "settings.json").write_bytes(json_bytes(server))
    return Launch([str(site.python.parent / "mlserver"), "start", str(site.folder)])


def _ask(name: str, rows: Sequence[Row]) -> Ask:
    flat = [value for row in rows for value in row]
    tensor = {"name": "predict", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": flat}
    body = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
    return Ask(f"/v2/models/{name}/infer", json_bytes(body))


def _read(answer: Any) -> list[list[float]]:
    output = answer["outputs"][0]
    _, classes = output["shape"]
    data = output["data"]
    return [data[start : start + classes] for start in range(0, len(data), classes)]


CONTENDER = Contender(
    "mlserver", "mlserver-sklearn, V2 protocol, adaptive batching", _launch, _ask, _read, "mlserver", peer=True
)
