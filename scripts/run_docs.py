"""Run the commands that the documentation shows, so that what a reader types is known to work.

Every fenced block marked `bash` counts. The blocks of one file run in order in one shell, with `set -euo pipefail`; the
first command that fails ends the run. A block with `<!-- not run -->` or `<!-- not run: reason -->` on the line before
is left out, and listed.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NOT_RUN = re.compile(r"<!-- not run(?:: (?P<reason>.+))? -->")
PRELUDE = r"""
set -euo pipefail
__begin() { __at=$1 __start=$EPOCHREALTIME; printf '%s\n%s\n' "$__at" "$2"; }
__end() { printf '\n%s: %s ms\n\n' "$__at" $(( (${EPOCHREALTIME/[.,]/} - ${__start/[.,]/}) / 1000 )); }
__stop() {
  local code=$? jobs
  if (( code )); then printf '%s: FAILED with exit code %s\n' "${__at:-start}" "$code"; fi
  jobs=$(jobs -pr)
  if [[ -n $jobs ]]; then
    printf 'left running and stopped: %s\n' "$(jobs -r)"
    kill $jobs
    wait
    (( code )) || code=1
  fi
  exit "$code"
}
trap __stop EXIT
"""
"""Shell functions around each command. What a file leaves running is stopped, and counts as a failure."""


@dataclass(frozen=True)
class Block:
    """A fenced block: the number of its first line, its text, and why it is not run; null when it is."""

    line: int
    text: str
    not_run: str | None = None


def blocks(markdown: str) -> Iterator[Block]:
    """The `bash` blocks of a document, in order.

    Raises:
        ValueError: a fence is never closed.
    """
    lines = iter(enumerate(markdown.splitlines(), start=1))
    before = ""
    for number, line in lines:
        if line.startswith("```"):
            body = _body(lines, number)
            if line.removeprefix("```").strip() == "bash":
                marked = NOT_RUN.fullmatch(before.strip())
                reason = (marked["reason"] or "marked so") if marked else None
                yield Block(number + 1, "\n".join(body), reason)
        before = line


def _body(lines: Iterator[tuple[int, str]], opened: int) -> list[str]:
    body: list[str] = []
    for _, line in lines:
        if line.startswith("```"):
            return body
        body.append(line)
    raise ValueError(f"line {opened}: the fence is never closed")


def commands(block: Block) -> Iterator[tuple[int, str]]:
    """Split a block into `(line, command)`; a command may span lines, and blank lines and comments are none."""
    held: list[str] = []
    for offset, line in enumerate(block.text.splitlines()):
        if not held and (not line.strip() or line.lstrip().startswith("#")):
            continue
        held.append(line)
        text = "\n".join(held)
        if _is_complete(text):
            yield block.line + offset - len(held) + 1, text
            held = []
    if held:
        yield block.line, "\n".join(held)  # bash says what is wrong with it


def _is_complete(text: str) -> bool:
    if text.endswith("\\"):
        return False
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    return read.returncode == 0 and not read.stderr  # an open here-document is only a warning


def script(path: Path, found: list[Block]) -> str:
    """The program that runs the blocks of one file."""
    parts = [PRELUDE]
    for block in found:
        if block.not_run is None:
            for line, command in commands(block):
                parts.append(f"__begin {_quote(f'{path}:{line}')} {_quote(_shown(command))}\n{command}\n__end\n")
    return "\n".join(parts)


def _shown(command: str) -> str:
    return "\n".join(f"  $ {line}" for line in command.splitlines())


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def run(path: Path, directory: Path) -> int:
    """Run one file's blocks; returns bash's exit code."""
    try:
        found = list(blocks(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: {error}")
    for block in found:
        if block.not_run is not None:
            print(f"{path}:{block.line}: not run ({block.not_run})", flush=True)
    if all(block.not_run is not None for block in found):
        return 0
    with tempfile.NamedTemporaryFile("w", suffix=".sh", encoding="utf-8") as file:
        file.write(script(path, found))
        file.flush()
        return subprocess.run(["bash", file.name], cwd=directory, stdin=subprocess.DEVNULL, check=False).returncode


def main() -> int:
    """Run every named file; returns the first exit code that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Markdown file")
    parser.add_argument("--directory", type=Path, default=Path(), help="where to run (default: here)")
    arguments = parser.parse_args()
    for path in arguments.files:
        if code := run(path, arguments.directory):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
