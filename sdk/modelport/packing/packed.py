"""What packing gives back, and how a person reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_artifact.manifest import Format, FormatKind, Manifest
from model_artifact.signature import Feature
from modelport.packing.proof import Proof

SHOWN = 12
"""Features and classes listed before the rest becomes a number."""


@dataclass(frozen=True)
class Packed:
    """A published bundle; `notes` say what was tried and why it was not kept; `str` is a summary for people."""

    path: Path
    digest: str
    manifest: Manifest
    notes: tuple[str, ...] = ()
    proofs: Mapping[FormatKind, Proof] = field(default_factory=dict)

    def __str__(self) -> str:
        """The summary, aligned."""
        rows = list(self._rows())
        width = max(len(head) for head, _ in rows)
        return "\n".join(f"{head:<{width}}  {text}".rstrip() for head, text in rows)

    def _rows(self) -> Iterator[tuple[str, str]]:
        manifest = self.manifest
        yield "model", f"{manifest.name} version {manifest.version}"
        yield "path", str(self.path)
        yield "digest", self.digest
        yield "size", _size(sum(entry.size for entry in manifest.files))
        for index, item in enumerate(manifest.formats):
            yield "" if index else "formats", self._format(item)
        if manifest.hooks:
            yield "hooks", f"{manifest.hooks}, code that the service runs when it is pinned or allowed"
        for index, note in enumerate(self.notes):
            yield "" if index else "not kept", note
        yield from self._signature()
        yield "next", f"modelport serve {self.path}"
        yield "", f"modelport inspect {self.path}"

    def _format(self, item: Format) -> str:
        size = _size(self.manifest.file(item.path).size)
        precision = f" {item.precision}" if item.precision else ""
        parity, proof = item.parity, self.proofs.get(item.kind)
        shown = f", parity on {parity.rows} rows, largest error {parity.max_error:.1e}" if parity else ""
        speed = f", {proof.single_row_seconds * 1e3:.3f} ms a row" if proof else ""
        return f"{item.kind}{precision}, {size}{shown}{speed}"

    def _signature(self) -> Iterator[tuple[str, str]]:
        signature = self.manifest.signature
        if signature is None:
            return
        width = max(len(feature.name) for feature in signature.inputs[:SHOWN])
        for index, feature in enumerate(signature.inputs[:SHOWN]):
            yield "" if index else "features", f"{feature.name:<{width}}  {_takes(feature)}"
        if len(signature.inputs) > SHOWN:
            yield "", f"and {len(signature.inputs) - SHOWN} more"
        if signature.labels:
            more = f" and {len(signature.labels) - SHOWN} more" if len(signature.labels) > SHOWN else ""
            yield "classes", ", ".join(signature.labels[:SHOWN]) + more


def _takes(feature: Feature) -> str:
    bounds = [("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")]
    parts = [f"{sign} {getattr(feature, name):g}" for name, sign in bounds if getattr(feature, name) is not None]
    if feature.categories is not None:
        parts.append(f"one of {len(feature.categories)} categories")
    if feature.nullable:
        parts.append("or null")
    return " ".join([feature.dtype, *parts])


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
