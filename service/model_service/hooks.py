"""Code that a bundle may bring along: `preprocess` changes requests before they are decoded, `postprocess` answers.

It is trusted by the policy of pickles, because it is the same thing: code from whoever wrote the artifact. The file is
compiled from its bytes rather than imported from its place, so that nothing is written beside it.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from model_artifact.bundle import Bundle
from model_artifact.coercion import Problem, show
from model_service.errors import InvalidInput, LoadFailed, PredictionFailed

MESSAGE_LENGTH = 300
"""Of what a hook says to the client at most so many characters are shown."""

NAMES = ("preprocess", "postprocess")
Hook = Callable[[list[Any]], Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hooks:
    """The functions of one bundle; either may be missing, and then changes nothing.

    Args:
        names: the signature's features in order; empty for a model without one.
        preprocess: takes the rows of a request as `{feature: value}` and returns as many rows for the signature.
        postprocess: takes the answers (`{prediction, prediction_class, ...}`) and returns as many objects.
        examples: requests that golden rows are made of, in place of rows drawn from the sample.
    """

    names: tuple[str, ...] = ()
    preprocess: Hook | None = None
    postprocess: Hook | None = None
    examples: tuple[Any, ...] = ()

    def before(self, values: list[Any]) -> list[Any]:
        """Turn the rows of a request, as they were sent, into rows that the signature takes.

        Raises:
            InvalidInput: a row has no names, or `preprocess` raised ValueError, whose text is the message.
            PredictionFailed: it raised anything else, or returned another number of rows.
        """
        return values if self.preprocess is None else _call("preprocess", self.preprocess, self._named(values))

    def after(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Let `postprocess` edit the answers; raises as `before` does."""
        if self.postprocess is None:
            return answers
        edited = _call("postprocess", self.postprocess, answers)
        if not all(isinstance(answer, dict) for answer in edited):
            raise PredictionFailed("the model's postprocess returned something other than objects")
        return edited

    def _named(self, values: list[Any]) -> list[dict[str, Any]]:
        """Every row by name, whichever way it was sent, so that hooks know one form only."""
        problems: list[Problem] = []
        rows = []
        for index, value in enumerate(values):
            inner = value["features"] if isinstance(value, dict) and list(value) == ["features"] else value
            if isinstance(inner, dict):
                rows.append(inner)
            elif isinstance(inner, list) and len(inner) == len(self.names):
                rows.append(dict(zip(self.names, inner, strict=True)))
            else:
                problems.append(Problem(None, index, "an object of named features", show(inner)))
        if problems:
            raise InvalidInput(
                f"row {problems[0].row}: expected {problems[0].expected}, got {problems[0].got}", problems
            )
        return rows


def load(bundle: Bundle, trusted: bool) -> Hooks | None:
    """Run the hooks file of a bundle; null where it has none.

    Args:
        bundle: verified.
        trusted: whether policy lets its code run; a pin of one model file does not cover the hooks.

    Raises:
        LoadFailed: it is not trusted, cannot be run, or defines no hook.
    """
    path = bundle.manifest.hooks
    if path is None:
        return None
    if not trusted:
        raise LoadFailed(
            f"{path} is code that runs with the model. Pin the bundle (MODELPORT_MODEL_DIGEST), set "
            "MODELPORT_ALLOW_PICKLE=true if you trust whoever can write it, or pack it without hooks"
        )
    module = ModuleType(f"modelport_hooks_{bundle.digest.removeprefix('sha256:')[:16]}")
    module.__file__ = str(bundle.path(path))
    sys.modules[module.__name__] = module  # dataclasses and pickles look classes up by it
    try:
        exec(compile(bundle.path(path).read_bytes(), path, "exec"), vars(module))  # noqa: S102 - policy allowed it above
        return _found(module, bundle)
    except LoadFailed:
        raise
    except Exception as error:  # unknown code may raise anything
        raise LoadFailed(f"{path} cannot be loaded: {type(error).__name__}: {_cut(error)}") from error


def _found(module: ModuleType, bundle: Bundle) -> Hooks:
    found = {name: getattr(module, name, None) for name in NAMES}
    wrong = [name for name, hook in found.items() if hook is not None and not callable(hook)]
    if wrong or not any(found.values()):
        what = f"{wrong[0]} is not a function" if wrong else "it defines no hook"
        raise LoadFailed(
            f"{bundle.manifest.hooks}: {what}; expected preprocess(rows) or postprocess(answers), each of which takes "
            "a list and returns one of the same length"
        )
    signature = bundle.manifest.signature
    return Hooks(signature.names if signature else (), **found, examples=tuple(getattr(module, "EXAMPLES", ())))


def _call(name: str, hook: Hook, rows: list[Any]) -> list[Any]:
    count = len(rows)
    try:
        answered = list(hook(rows))
    except ValueError as error:
        raise InvalidInput(f"the model's {name} refused the request: {_cut(error)}") from error
    except Exception as error:
        log.exception("%s of the bundle failed", name)
        raise PredictionFailed(f"the model's {name} failed; the cause is in the server's log") from error
    if len(answered) != count:
        log.error("%s of the bundle returned %d rows to %d", name, len(answered), count)
        raise PredictionFailed(f"the model's {name} returned another number of rows than it was given")
    return answered


def _cut(error: Exception) -> str:
    text = " ".join(str(error).split()) or "it gave no reason"
    return text if len(text) <= MESSAGE_LENGTH else f"{text[: MESSAGE_LENGTH - 3]}..."
