"""Changes to a compiled graph: what the converter writes in single precision, or under names of its own choosing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from onnx import TensorProto, helper

OUTPUTS = ("prediction", "probabilities")


def refine(graph: Any, inputs: Sequence[str], outputs: int, *, double: bool) -> None:
    """Keep the first `outputs` outputs, name inputs and outputs, and mend what loses precision.

    Args:
        graph: an ONNX graph; changed in place.
        inputs: what its inputs are to be called, in order.
        outputs: how many of `prediction`, `probabilities` it gives.
        double: whether its numbers are float64.
    """
    _rename(graph, inputs, outputs)
    nodes = [mended for node in graph.node for mended in _MEND.get(node.op_type, _keep)(node, double)]
    del graph.node[:]
    graph.node.extend(nodes)
    widened = {node.output[0] for node in nodes if node.op_type == "Cast" and node.attribute[0].i == TensorProto.DOUBLE}
    for item in graph.output:
        if item.name in widened:  # the converter has declared what trees give by themselves
            item.type.tensor_type.elem_type = TensorProto.DOUBLE


def _rename(graph: Any, inputs: Sequence[str], outputs: int) -> None:
    del graph.output[outputs:]
    ends = [*zip(graph.input, inputs, strict=True), *zip(graph.output, OUTPUTS, strict=False)]
    names = {item.name: name for item, name in ends}
    inner = {value for node in graph.node for value in node.output}
    renamed = {name: f"{name}_" for name in inner & set(names.values())} | names
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [renamed.get(value, value) for value in values]
    for item, name in ends:
        item.name = name


def _keep(node: Any, _: bool) -> Iterator[Any]:
    yield node


def _tree(node: Any, double: bool) -> Iterator[Any]:
    """Trees of scikit-learn round their input to float32, and those of ONNX answer in float32."""
    if not double:
        yield node
        return
    source, target = node.input[0], node.output[-1]
    rounded, scores = f"{source}_{node.name}_float", f"{target}_float"
    node.input[0], node.output[-1] = rounded, scores
    yield helper.make_node("Cast", [source], [rounded], to=TensorProto.FLOAT)
    yield node
    yield helper.make_node("Cast", [scores], [target], to=TensorProto.DOUBLE)


_MEND: dict[str, Callable[[Any, bool], Iterator[Any]]] = {
    "TreeEnsembleClassifier": _tree,
    "TreeEnsembleRegressor": _tree,
}
