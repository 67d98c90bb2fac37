"""The project's other programs, started as commands: the sdk imports none of them.

A request to end that reaches this process is passed on to the child, once: the child has a process group of its own, so
that the terminal's Ctrl-C does not reach it by a second way.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

TOLD_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Each is passed on as SIGTERM, on which all our programs finish what they are doing: SIGHUP would mean "reload"."""


PYTHON = (sys.executable, "-P", "-m")
"""Without the working directory on the import path: a file that lies there must not take the place of a module."""


class Children:
    """Runs programs one after the other; made by `forwarding_signals`."""

    def __init__(self) -> None:
        self._current: subprocess.Popen[bytes] | None = None

    def run(self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Run `python -m module arguments` on this process's own streams.

        Args:
            module: dotted name.
            arguments: its command line.
            environment: variables added to this process's own.

        Returns:
            Its exit code; 128 + n where signal n ended it, as shells say it.
        """
        return self._run(module, arguments, environment, None)[0]

    def read(self, module: str, arguments: Sequence[str]) -> tuple[int, bytes]:
        """Run as `run` does, but return the exit code and what it wrote to standard output."""
        return self._run(module, arguments, None, subprocess.PIPE)

    def _run(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str] | None, stdout: int | None
    ) -> tuple[int, bytes]:
        self._current = subprocess.Popen(  # noqa: S603 - our own modules
            [*PYTHON, module, *arguments],
            env={**os.environ, **(environment or {})},
            stdout=stdout,
            process_group=0,
        )
        output, _ = self._current.communicate()
        code = self._current.returncode
        return (code if code >= 0 else 128 - code), output or b""

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: to the child while there is one, otherwise end, so that what was made is cleaned up."""
        del frame
        if self._current is not None and self._current.poll() is None:
            self._current.terminate()
        else:
            raise SystemExit(128 + number)


@contextmanager
def forwarding_signals() -> Iterator[Children]:
    """Give a runner of programs that end when this process is told to."""
    children = Children()
    heard = [number for number in TOLD_TO_END if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, children.pass_on) for number in heard}
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def capture(module: str, arguments: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `python -m module arguments` to its end and return its output; its exit code is the caller's to read."""
    return subprocess.run([*PYTHON, module, *arguments], input=stdin, capture_output=True, check=False)  # noqa: S603


def last_line(output: bytes) -> str:
    """The last line of a program's standard error: where each of ours says why it failed."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
