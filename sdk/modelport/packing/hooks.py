"""Hooks: a Python file that goes into the bundle and changes requests and answers, and golden rows that pass it."""

from dataclasses import replace
from pathlib import Path

from model_artifact.manifest import FormatKind
from model_artifact.samples import Golden
from modelport.packing.attempt import NotKept
from modelport.packing.errors import PackRefused
from modelport.packing.proof import answer, answers_of

HOOKS = "hooks.py"


def read_hooks(path: str | Path) -> bytes:
    """Read the file; what is in it is seen when the golden rows go through it.

    Raises:
        PackRefused: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PackRefused(f"hooks: {path} cannot be read ({error.strerror})") from error


def through_hooks(folder: Path, kind: FormatKind, golden: Golden) -> Golden:
    """Golden rows as requests, with what one format of the staged bundle answers after `preprocess`.

    Raises:
        PackRefused: the file cannot be loaded, or the hooks do not take the rows.
    """
    try:
        report = answer(folder, kind, golden.inputs, hooks=True)
    except NotKept as error:
        raise PackRefused(
            f"hooks: {error}. Golden rows are requests of the model's own features; where clients send something else, "
            "give a few requests in the hooks file: EXAMPLES = [{...}, ...]"
        ) from error
    return replace(golden, inputs=tuple(report["requests"]), outputs=tuple(answers_of(report)))
