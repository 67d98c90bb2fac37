"""What a model takes and gives: the part of the manifest that clients see in the API's documentation.

A signature describes one row. `layout` says what the estimator wants many rows as: a `frame` (named columns), a
`matrix` (numbers, fitted without names) or a `vector` (one text column, as text pipelines take).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from model_artifact import dtypes
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
    """One input of a row: `dtype` of a scalar, with what its value must hold.

    `default` stands in when a named request leaves the feature out, and so does the value of the expression `computed`.
    """

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

    def __post_init__(self) -> None:
        for sentence in self._faults():
            raise ManifestInvalid(f"feature {self.name!r}: {sentence}")

    def _faults(self) -> Iterator[str]:
        if not self.name:
            yield "its name is empty"
        if self.limits and not dtypes.is_numeric(self.dtype):
            yield f"{' and '.join(self.limits)} need a numeric dtype, not {self.dtype}"
        if self.default is not None and self.computed is not None:
            yield "default and computed exclude each other"
        if self.categories is not None:
            yield from _refusals(dtypes.converter(self.dtype), "category", self.categories)
        given = {"default": self.default, "example": self.example}
        for what, value in given.items():
            if value is not None:
                yield from _refusals(self.converter(), what, (value,))

    @property
    def limits(self) -> dict[str, float]:
        """The bounds that are set, by name."""
        return {name: limit for name in dtypes.COMPARISONS if (limit := getattr(self, name)) is not None}

    def converter(self) -> dtypes.Convert:
        """Return the function that coerces and checks one value that is not null; it raises ValueRefused."""
        convert, checks = dtypes.converter(self.dtype), list(dtypes.bounds(self.limits))
        if self.categories is not None:
            checks.append(dtypes.membership(self.categories))
        if not checks:
            return convert

        def coerce(value: Any) -> Any:
            converted = convert(value)
            for holds, expected in checks:
                if not holds(converted):
                    raise dtypes.ValueRefused(expected)
            return converted

        return coerce

    @property
    def required(self) -> bool:
        """Whether a named request must carry it."""
        return self.default is None and self.computed is None


def _refusals(convert: dtypes.Convert, what: str, values: tuple[Scalar, ...]) -> Iterator[str]:
    for value in values:
        try:
            convert(value)
        except dtypes.ValueRefused as refused:
            yield f"{what} {value!r} is refused: expected {refused}"


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
            (bool(reserved), f"inputs: {', '.join(reserved)!r} is reserved by the request format; rename the column"),
            (self.layout == "vector" and len(names) != 1, "inputs: a vector has exactly one"),
            (len(set(self.classes)) != len(self.classes), "classes: a value is listed twice"),
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
        """Expressions of the features that are computed when they are left out, each after those that it reads."""
        computed = {item.name: self._compile(item.computed) for item in self.inputs if item.computed is not None}
        reads = {name: expression.names & computed.keys() for name, expression in computed.items()}
        try:
            return {name: computed[name] for name in TopologicalSorter(reads).static_order()}
        except CycleError as error:
            raise ManifestInvalid(f"inputs: computed from each other: {' from '.join(error.args[1])}") from error

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
