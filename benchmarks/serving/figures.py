"""A figure and what it should be: the one shape of everything that is asserted."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

COMPARE: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class Figure:
    """A measured value; `how` and `target` say what it must hold, nothing where it is only told."""

    name: str
    value: float | None
    unit: str = ""
    how: str = ""
    target: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met: none without a target, false where there is no value to hold against it."""
        if self.target is None:
            return None
        return self.value is not None and COMPARE[self.how](self.value, self.target)

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        wanted = None if self.target is None else f"{self.how} {self.target:g}"
        return {"name": self.name, "value": self.value, "unit": self.unit, "target": wanted, "holds": self.holds}


def table(figures: Sequence[Figure]) -> str:
    """Aligned lines: verdict, figure, target, name."""
    verdicts = {True: "pass", False: "MISS", None: "-"}
    lines = [f"{'':<5} {'figure':>14} {'target':>12}  what"]
    for figure in figures:
        value = "no figure" if figure.value is None else f"{figure.value:,.4g} {figure.unit}".strip()
        target = "" if figure.target is None else f"{figure.how} {figure.target:g}"
        lines.append(f"{verdicts[figure.holds]:<5} {value:>14} {target:>12}  {figure.name}")
    return "\n".join(lines)
