"""Converters and options of our own, for one conversion at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType
from skl2onnx.operator_converters.common import concatenate_variables
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer

from modelport.packing.equivalents import estimators

PYTHON_WORDS = r"(?u)\b\w\w+\b"
UNICODE_WORDS = r"[\pL\pN_]+"
"""scikit-learn's default token pattern as RE2 has it, whose own word class knows ASCII alone."""
LOCALE = "C.UTF-8"
"""Lower case in every script; in every glibc, while the default en_US.UTF-8 is seldom in a container."""


def options_for(model: Any) -> dict[Any, dict[str, Any]]:
    """Converter options of the estimators inside `model`, by their id."""
    found = [item for item in estimators(model) if isinstance(item, CountVectorizer)]
    return {id(item): _text_options(item) for item in found}


def _text_options(vectorizer: CountVectorizer) -> dict[str, Any]:
    default = vectorizer.analyzer == "word" and vectorizer.token_pattern == PYTHON_WORDS
    return {"locale": LOCALE} | ({"tokenexp": UNICODE_WORDS} if default else {})


def _impute(scope: Any, operator: Any, container: Any) -> None:
    """The converter's own for texts and float32; for float64, of which ONNX's Imputer knows nothing, a Where."""
    model = operator.raw_operator
    numbers = isinstance(operator.inputs[0].type, DoubleTensorType)
    if not numbers or not np.isnan(model.missing_values):
        convert_sklearn_imputer(scope, operator, container)
        return
    source = concatenate_variables(scope, operator.inputs, container)
    missing, filling = scope.get_unique_variable_name("missing"), scope.get_unique_variable_name("filling")
    values = numpy_helper.from_array(np.asarray(model.statistics_, dtype=np.float64)[None, :], filling)
    container.initializers.append(values)
    container.nodes.append(helper.make_node("IsNaN", [source], [missing]))
    target = operator.outputs[0].full_name
    container.nodes.append(helper.make_node("Where", [missing, filling, source], [target]))


CONVERTERS: dict[type, Callable[[Any, Any, Any], None]] = {SimpleImputer: _impute}
