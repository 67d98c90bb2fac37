"""A bundle in the making: a staging folder, the manifest so far, and the proof of each format before it counts."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from model_artifact.digests import sha256_file
from model_artifact.manifest import MANIFEST, FileEntry, Format, FormatKind, Manifest, write_manifest
from modelport.packing.attempt import Attempt, NotKept
from modelport.packing.errors import PackRefused
from modelport.packing.proof import Evidence, Proof, prove

log = logging.getLogger("modelport")
REASON_LENGTH = 200
_RUNTIME_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed: ?)?")


@dataclass
class Draft:
    """Grows by `add` and `add_format`; `manifest` is complete as soon as it holds one format."""

    folder: Path
    identity: dict[str, object]
    files: list[FileEntry] = field(default_factory=list)
    formats: list[Format] = field(default_factory=list)
    proofs: dict[FormatKind, Proof] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> FileEntry:
        """Write a file of the bundle, or write it anew."""
        entry = self._write(path, data)
        self.files = [*(item for item in self.files if item.path != path), entry]
        return entry

    def add_format(self, kind: FormatKind, attempts: Iterable[Attempt], evidence: Evidence) -> None:
        """Keep the first attempt that is proven; when none is, the notes say why."""
        path = f"model.{kind}"
        for attempt in attempts:
            log.info("%s (%s): writing and proving on %d rows", kind, attempt.label, len(evidence.rows))
            try:
                entry, proof = self._proven(path, attempt, evidence)
            except Exception as error:  # a converter or a pickle raises anything; each failure becomes a note
                self.notes.append(f"{kind} ({attempt.label}): {_reason(error).replace(f'{self.folder}/', '')}")
                log.info("%s", self.notes[-1])
                (self.folder / path).unlink(missing_ok=True)
                continue
            self.files.append(entry)
            self.formats.append(replace(_format(attempt, path), parity=proof.parity))
            self.proofs[kind] = proof
            return

    def manifest(self) -> Manifest:
        """The manifest of what was added, written to the folder.

        Raises:
            PackRefused: no format was proven.
        """
        if not self.formats:
            raise PackRefused(f"no form of the model could be proven: {'; '.join(self.notes)}")
        return self._write_manifest(self.files, self.formats)

    def _proven(self, path: str, attempt: Attempt, evidence: Evidence) -> tuple[FileEntry, Proof]:
        entry = self._write(path, attempt.write())
        self._write_manifest([*self.files, entry], [_format(attempt, path)])
        return entry, prove(self.folder, attempt.kind, evidence)

    def _write(self, path: str, data: bytes) -> FileEntry:
        target = self.folder / path
        target.write_bytes(data)
        return FileEntry(path, len(data), sha256_file(target))

    def _write_manifest(self, files: list[FileEntry], formats: list[Format]) -> Manifest:
        ordered = tuple(sorted(files, key=lambda entry: entry.path))
        manifest = Manifest(files=ordered, formats=tuple(formats), **self.identity)  # type: ignore[arg-type]
        (self.folder / MANIFEST).write_bytes(write_manifest(manifest))
        return manifest


def _format(attempt: Attempt, path: str) -> Format:
    return Format(attempt.kind, path, attempt.precision)


def _reason(error: Exception) -> str:
    text = _RUNTIME_PREFIX.sub("", " ".join(str(error).split())) or type(error).__name__
    text = text if isinstance(error, NotKept) else f"{type(error).__name__}: {text}"
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]}..."
