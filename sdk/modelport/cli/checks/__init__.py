"""What `modelport doctor` looks at: each check is a function that yields what it found, in the order of `CHECKS`."""

from collections.abc import Callable, Iterator

from modelport.cli.checks import bundle, machine, packages, settings
from modelport.cli.checks.finding import Context, Finding

__all__ = ["CHECKS", "Context", "Finding"]

Check = Callable[[Context], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    packages.python,
    packages.required,
    packages.extras,
    machine.cpus,
    machine.memory,
    machine.heartbeat,
    settings.configuration,
    settings.port,
    settings.model_root,
    bundle.whole,
)
