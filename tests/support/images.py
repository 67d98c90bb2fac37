"""Images made for a test: a model, as large as wanted, baked into the service's own."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model_artifact import __version__
from support.cluster import REPO, run


def bake(bundle: Path, place: str, tag: str) -> dict[str, str]:
    """Build the service's image with a bundle at /mnt/models/PLACE and load it; returns the chart's `image` values."""
    dockerfile = f"FROM modelport/service:{__version__}\nCOPY --chown=10001:0 . /mnt/models/{place}/\n"
    image = {"repository": "modelport/baked", "tag": tag}
    name = f"{image['repository']}:{tag}"
    run("docker", "build", "--quiet", "--file", "-", "--tag", name, str(bundle), text=dockerfile)
    run(str(REPO / "scripts" / "cluster" / "load-image.sh"), name)
    return image


def write_wide_model(path: Path, megabytes: int) -> None:
    """An ONNX regression whose one matrix has so many megabytes."""
    wide = int((megabytes * 2**20 / 4) ** 0.5)
    generator = np.random.default_rng(7)
    weights = {
        "spread": generator.random((8, wide), dtype=np.float32),
        "mix": generator.random((wide, wide), dtype=np.float32),
        "fold": np.full((wide, 1), 1e-6, dtype=np.float32),
    }
    outputs = ["spread_out", "mixed", "variable"]
    nodes = [
        helper.make_node("MatMul", [source, name], [output])
        for source, name, output in zip(["features", *outputs], weights, outputs, strict=False)
    ]
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 8])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def tagged(tag: str) -> dict[str, str]:
    """The service's own image under another name, loaded; returns the chart's `image` values."""
    image = {"repository": "modelport/service", "tag": tag, "pullPolicy": "IfNotPresent"}
    run("docker", "tag", f"modelport/service:{__version__}", f"{image['repository']}:{tag}")
    run(str(REPO / "scripts" / "cluster" / "load-image.sh"), f"{image['repository']}:{tag}")
    return image
