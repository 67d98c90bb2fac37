"""What a model takes and gives: the part of the manifest that clients see in the API's documentation.

A signature describes one row. `layout` says what the estimator wants many rows as: a `frame` (named columns), a
`matrix` (numbers, fitted without names) or a `vector` (one text column, as text pipelines take).
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from model_artifact.errors import ExpressionInvalid, ManifestInvalid
from model_artifact.expressions import Expression, compile_expression

Dtype = Literal[
    "any",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "string",
]
"""`any` is for bare files only, whose columns have names but no known types."""

Layout = Literal["frame", "matrix", "vector"]
Task = Literal["classification", "regression", "other"]
Scalar = bool | int | float | str

RESERVED = frozenset({"features", "requests", "outputs", "parameters", "id", "version"})
"""Keys of the request bodies themselves: a feature of that name could not be told from them."""


@dataclass(frozen=True)
class Feature:
    """One input of a row: `dtype` of a scalar, with what its value must hold."""

    name: str
    dtype: Dtype
    nullable: bool = False
    default: Scalar | None = None
    computed: str | None = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    categories: tuple[Scalar, ...] | None = None
    description: str = ""
    example: Scalar | None = None

    @property
    def required(self) -> bool:
        """Whether a named request must carry it."""
        return self.default is None and self.computed is None


@dataclass(frozen=True)
class Output:
    """One output; `shape` is that of a row's value, `()` for a scalar."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A condition over several features that every row must meet, with the sentence for a row that does not."""

    expr: str
    message: str


@dataclass(frozen=True)
class Signature:
    """Inputs in the estimator's order, outputs, class labels as people read them, cross-field rules.

    `classes` are the estimator's own class values in the order of its probabilities; `labels` their texts, in step.
    """

    task: Task
    layout: Layout
    inputs: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    classes: tuple[Scalar, ...] = ()
    labels: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=())

    def __post_init__(self) -> None:
        for broken, sentence in self._faults():
            if broken:
                raise ManifestInvalid(sentence)
        _ = self.compiled_rules, self.compiled_defaults

    def _faults(self) -> list[tuple[bool, str]]:
        names = self.names
        reserved = sorted(RESERVED.intersection(names))
        return [
            (not names, "inputs: at least one is needed"),
            (len(set(names)) != len(names), "inputs: a name is used twice"),
            (not all(names), "inputs: a name is empty"),
            (bool(reserved), f"inputs: the name {reserved[:1]} is reserved by the request format; rename the column"),
            (self.layout == "vector" and len(names) != 1, "inputs: a vector has exactly one"),
            (len(self.labels) != len(self.classes), "labels: need one for each class"),
            (len(set(self.labels)) != len(self.labels), "labels: a label is used twice"),
        ]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in order."""
        return tuple(feature.name for feature in self.inputs)

    @cached_property
    def compiled_rules(self) -> tuple[tuple[Expression, str], ...]:
        """Each rule's expression with its message."""
        return tuple((self._compile(rule.expr), rule.message) for rule in self.rules)

    @cached_property
    def compiled_defaults(self) -> dict[str, Expression]:
        """Expressions of the features that are computed when they are left out."""
        return {item.name: self._compile(item.computed) for item in self.inputs if item.computed is not None}

    @property
    def has_probabilities(self) -> bool:
        """Whether the model gives one probability for each class."""
        return any(output.name == "probabilities" for output in self.outputs)

    def _compile(self, text: str) -> Expression:
        try:
            return compile_expression(text, frozenset(self.names))
        except ExpressionInvalid as error:
            raise ManifestInvalid(f"expression {text!r}: {error}") from error

    def label(self, value: Any) -> str:
        """The text of a class value; classes without a label read as themselves."""
        return self.class_labels.get(value, str(value))

    @cached_property
    def class_labels(self) -> dict[Scalar, str]:
        """Class value to label."""
        return dict(zip(self.classes, self.labels, strict=True))
