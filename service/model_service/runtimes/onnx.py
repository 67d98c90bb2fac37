"""ONNX Runtime: no scikit-learn, no pickle, one C++ call a batch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_artifact.dtypes import NULL_TEXT
from model_artifact.signature import Dtype, Feature, Output, Signature
from model_service.errors import LoadFailed
from model_service.runtimes.arrays import column, matrix
from model_service.runtimes.base import Answers, Rows, unnamed_signature_error

_TENSORS: dict[str, tuple[Any, Dtype]] = {
    "tensor(double)": (np.float64, "float64"),
    "tensor(float)": (np.float32, "float32"),
    "tensor(int64)": (np.int64, "int64"),
    "tensor(int32)": (np.int32, "int32"),
    "tensor(bool)": (np.bool_, "bool"),
    "tensor(string)": (np.object_, "string"),
}
PREDICTION, PROBABILITIES = "prediction", "probabilities"


def load(path: Path, signature: Signature | None, trusted: bool) -> "OnnxRuntime":  # noqa: ARG001 - the port's shape
    """Open the graph single-threaded: workers are the unit of parallelism, and one row does not repay a thread pool.

    Raises:
        LoadFailed: the file is not a graph that this runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises many classes without a common base
        raise LoadFailed(f"{path.name} is not a graph that ONNX Runtime can run: {str(error)[:300]}") from error
    return OnnxRuntime(session, signature or _describe(session))


class OnnxRuntime:
    """Feeds rows to the graph as one matrix or as one tensor a column, as the graph declares."""

    def __init__(self, session: onnxruntime.InferenceSession, signature: Signature) -> None:
        self.signature = signature
        self._session = session
        self._inputs = [(item.name, _tensor(item.type)[0], len(item.shape)) for item in session.get_inputs()]
        self._columns = self._match_columns()
        outputs = [item.name for item in session.get_outputs()]
        self._wanted = [PREDICTION if PREDICTION in outputs else outputs[0]]
        if signature.has_probabilities:
            self._wanted.append(PROBABILITIES if PROBABILITIES in outputs else outputs[1])
        self._scalar = signature.outputs[0].shape == ()
        self._boolean = signature.outputs[0].dtype == "bool"  # converters number the classes False and True

    def predict(self, rows: Rows) -> Answers:
        """Answer the rows; see `Runtime.predict`."""
        results = self._session.run(self._wanted, self._feed(rows))
        predictions = np.asarray(results[0])
        if self._scalar and predictions.ndim > 1:
            predictions = predictions.reshape(len(rows), -1)[:, 0]
        if self._boolean:
            predictions = predictions.astype(np.bool_)
        return Answers(predictions, results[1] if len(results) > 1 else None)

    def _match_columns(self) -> list[int] | None:
        if len(self._inputs) == 1:
            return None
        positions = {name: index for index, name in enumerate(self.signature.names)}
        unknown = [name for name, _, _ in self._inputs if name not in positions]
        if unknown:
            raise LoadFailed(f"the graph takes {unknown[0]!r}, which the signature does not name")
        return [positions[name] for name, _, _ in self._inputs]

    def _feed(self, rows: Rows) -> dict[str, NDArray[Any]]:
        if self._columns is None:
            name, dtype, rank = self._inputs[0]
            array = _array(rows, dtype)
            return {name: array if rank > 1 else array.reshape(-1)}
        return {
            name: _array(column(rows, at), dtype)
            for (name, dtype, _), at in zip(self._inputs, self._columns, strict=True)
        }


def _array(rows: Rows, dtype: Any) -> NDArray[Any]:
    if dtype is np.object_:
        rows = [[NULL_TEXT if value is None else value for value in row] for row in rows]
    return matrix(rows, dtype)


def _tensor(kind: str) -> tuple[Any, Dtype]:
    if kind not in _TENSORS:
        raise LoadFailed(f"the graph uses {kind}; supported are {', '.join(_TENSORS)}")
    return _TENSORS[kind]


def _describe(session: onnxruntime.InferenceSession) -> Signature:
    """Signature of a bare graph: its own input names and types; classes as it numbers them."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) > 1:
        features = tuple(Feature(item.name, _tensor(item.type)[1]) for item in inputs)
    else:
        width = inputs[0].shape[-1] if inputs[0].shape else None
        if not isinstance(width, int):
            raise LoadFailed(unnamed_signature_error("ONNX"))
        features = tuple(Feature(f"x{index}", _tensor(inputs[0].type)[1]) for index in range(width))
    last = outputs[0].shape[-1] if len(outputs[0].shape) > 1 else 1
    shape = (last,) if isinstance(last, int) and last > 1 else ()
    prediction = Output(PREDICTION, _tensor(outputs[0].type)[1], shape)
    return Signature("other", "frame" if len(inputs) > 1 else "matrix", features, (prediction,))
