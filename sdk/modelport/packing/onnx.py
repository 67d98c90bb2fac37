"""Compiling to ONNX: the ways that are tried, in order, and the graph as the service's runtime wants it.

Columns of one kind enter as one `[rows, columns]` tensor named `features`; where kinds are mixed, or the estimator
picks columns by name, as one `[rows, 1]` tensor for each column, named as the column. Numbers of any kind enter as
floats of the graph's precision; null is NaN among them and `NULL_TEXT` among texts, which no request can send. The
graph gives `prediction`, and `probabilities` where the signature has them.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common import tree_ensemble
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

from model_artifact.signature import Signature
from modelport.packing.attempt import Attempt, NotKept
from modelport.packing.converters import CONVERTERS, options_for
from modelport.packing.equivalents import equivalent
from modelport.packing.graph import refine

Precision = Literal["float64", "float32"]
FEATURES = "features"
_CLASS = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")


def onnx_attempts(estimator: Any, signature: Signature) -> Iterator[Attempt]:
    """The ways to compile, the most exact first."""
    texts = {item.dtype == "string" for item in signature.inputs}
    feeds = ["one tensor"] if len(texts) == 1 else []
    if signature.layout == "frame" and len(signature.inputs) > 1:
        feeds.append("one tensor a column")
    for precision in ("float64", "float32"):
        for feed in feeds:
            write = partial(compile_onnx, estimator, signature, precision, together=feed == "one tensor")
            yield Attempt("onnx", f"{precision}, {feed}", write, precision)


def compile_onnx(estimator: Any, signature: Signature, precision: Precision, *, together: bool) -> bytes:
    """Compile one way; whatever else the converter raises comes through.

    Raises:
        NotKept: an estimator in it has no converter.
    """
    inputs = _inputs(signature, precision, together)
    with _quiet(), _plain_nodes():
        try:
            model = _convert(estimator, inputs)
        except (MissingConverter, MissingShapeCalculator) as error:
            unknown = _CLASS.search(str(error))
            raise NotKept(f"the converter does not know {unknown[1] if unknown else 'this estimator'}") from error
    names = [FEATURES] if together else [item.name for item in signature.inputs]
    refine(model.graph, names, 1 + signature.has_probabilities, double=precision == "float64")
    return bytes(model.SerializeToString(deterministic=True))


def _convert(estimator: Any, inputs: list[tuple[str, Any]]) -> Any:
    model = equivalent(estimator)
    options = options_for(model)
    convert = partial(convert_sklearn, model, "model", inputs, custom_conversion_functions=CONVERTERS)
    try:
        return convert(options={id(model): {"zipmap": False}} | options)
    except NameError:  # how the converter says that the estimator has no such option
        return convert(options=options)


def _inputs(signature: Signature, precision: Precision, together: bool) -> list[tuple[str, Any]]:
    number = {"float64": DoubleTensorType, "float32": FloatTensorType}[precision]
    kinds = [(item.name, StringTensorType if item.dtype == "string" else number) for item in signature.inputs]
    if together:
        return [(FEATURES, kinds[0][1]([None, len(kinds)]))]
    return [(name, kind([None, 1])) for name, kind in kinds]


@contextmanager
def _plain_nodes() -> Iterator[None]:
    """Let the converter of boosted histograms pass booleans and numpy integers where ONNX takes Python's own only."""
    add_node = tree_ensemble.add_node

    def add_plain_node(*values: Any, **options: Any) -> None:
        add_node(*map(_plain, values), **{name: _plain(value) for name, value in options.items()})

    tree_ensemble.add_node = add_plain_node
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, (bool, np.bool_, np.integer)) else value


@contextmanager
def _quiet() -> Iterator[None]:
    """The converter warns and logs about its own internals; what matters is whether parity holds."""
    logger = logging.getLogger("skl2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
