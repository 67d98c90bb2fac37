"""The estimator as files that scikit-learn loads back: the same estimator gives the same bytes."""

import copy
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import joblib
import numpy as np
import skops.io
from sklearn.tree._tree import Tree

from model_artifact.manifest import FormatKind
from model_artifact.signature import Signature
from modelport.packing.attempt import Attempt
from modelport.packing.equivalents import estimators
from modelport.packing.onnx import onnx_attempts

PICKLE_PROTOCOL = 5
COMPRESSION = ("zlib", 3)
"""zlib keeps no time stamp, and every Python has it."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold."""


def without_padding(estimator: Any) -> Any:
    """Copy an estimator with zeros between the fields of its trees' nodes, where copies and loads leave stray bytes."""
    copied = copy.deepcopy(estimator)
    for item in estimators(copied):
        tree = vars(item).get("tree_")
        if isinstance(tree, Tree):
            state = tree.__getstate__()
            nodes = np.zeros(state["nodes"].shape, state["nodes"].dtype)
            for name in nodes.dtype.names:
                nodes[name] = state["nodes"][name]
            tree.__setstate__(state | {"nodes": nodes})
    return copied


def joblib_bytes(estimator: Any) -> bytes:
    """Pickle with a fixed protocol and compression."""
    buffer = io.BytesIO()
    joblib.dump(without_padding(estimator), buffer, compress=COMPRESSION, protocol=PICKLE_PROTOCOL)
    return buffer.getvalue()


def skops_bytes(estimator: Any) -> bytes:
    """Write skops' zip without what differs between runs: memory addresses, random names and times."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(without_padding(estimator)))) as archive:
        contents = {item.filename: archive.read(item) for item in archive.infolist()}
    schema = json.loads(contents.pop("schema.json"))
    numbers: dict[Any, int] = {}
    files: dict[str, str] = {}
    schema = _canonical(schema, numbers, files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents, key=lambda name: files.get(name, name)):
            archive.writestr(_entry(files.get(name, name)), contents[name])
        archive.writestr(_entry("schema.json"), json.dumps(schema, indent=2).encode())
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _canonical(value: Any, numbers: dict[Any, int], files: dict[str, str]) -> Any:
    """Number objects and files by their first appearance."""
    if isinstance(value, list):
        return [_canonical(item, numbers, files) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key == "__id__":
            result[key] = numbers.setdefault(item, len(numbers) + 1)
        elif key == "file" and isinstance(item, str):
            result[key] = files.setdefault(item, f"{len(files) + 1}.{item.rpartition('.')[2]}")
        else:
            result[key] = _canonical(item, numbers, files)
    return result


def _single(kind: FormatKind, write: Callable[[Any], bytes], estimator: Any, _: Signature) -> Iterator[Attempt]:
    yield Attempt(kind, "as it is", partial(write, estimator))


FORMATS: dict[FormatKind, Callable[[Any, Signature], Iterator[Attempt]]] = {
    "onnx": onnx_attempts,
    "skops": partial(_single, "skops", skops_bytes),
    "joblib": partial(_single, "joblib", joblib_bytes),
}
"""In the order in which the service prefers them."""
