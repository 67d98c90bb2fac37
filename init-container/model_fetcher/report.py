"""How a run ends, in words: for people, for log collectors, and for the status of the pod."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from model_artifact.delivery import AccessDenied, DeliveryError, NotFound
from model_fetcher.fetch import Outcome
from model_fetcher.progress import megabytes
from model_fetcher.settings import TERMINATION_LOG
from model_fetcher.uris import redact
from model_fetcher.versions import Version

TERMINATION_LIMIT = 4096
"""Bytes of a termination message that Kubernetes keeps."""
FIELD_LIMITS = {"reason": 64, "uri": 1024, "identity": 256, "message": 2560}
"""Bytes of each of its fields, as JSON."""


def success_line(outcome: Outcome, *, terminal: bool) -> str:
    """One sentence for a terminal, one JSON object elsewhere."""
    if not terminal:
        return json.dumps(asdict(outcome) | {"path": str(outcome.path), "seconds": round(outcome.seconds, 3)})
    state = "is already there" if outcome.already_there else "is published"
    return (
        f"{outcome.name} {outcome.version} {state}: {outcome.path} "
        f"({outcome.digest}; {megabytes(outcome.moved)} in {outcome.seconds:.1f} s as {outcome.identity})"
    )


def versions_report(versions: Sequence[Version], *, as_json: bool) -> str:
    """A JSON list, or a table for people."""
    if as_json:
        return json.dumps([asdict(version) for version in versions], indent=2)
    rows = [("VERSION", "CREATED", "DIGEST", "NAME"), *((v.version, v.created, v.digest, v.name) for v in versions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def failure_line(error: DeliveryError) -> str:
    """The last line of a failed run."""
    who = f" (asked as {error.identity})" if isinstance(error, (AccessDenied, NotFound)) and error.identity else ""
    return f"{error.reason}: {redact(str(error))}{who}"


def failure_message(error: DeliveryError) -> str:
    """The termination message: one JSON object under 4 KiB, whatever the length of its parts."""
    fields = {"reason": error.reason, "uri": error.uri, "identity": error.identity, "message": redact(str(error))}
    return json.dumps({name: _shortened(text, FIELD_LIMITS[name]) for name, text in fields.items()})


def _shortened(text: str, limit: int) -> str:
    while len(json.dumps(text)) > limit:
        text = f"{text[: len(text) * 3 // 4 - 3]}..."
    return text


def write_termination_message(path: Path, message: str) -> None:
    """Leave the message where Kubernetes reads it; outside a pod its default place does not exist and stays so."""
    if path != TERMINATION_LOG or path.exists():
        with suppress(OSError):
            path.write_text(message)
