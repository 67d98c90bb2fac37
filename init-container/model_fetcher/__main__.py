"""The program `model-fetch`: arguments and environment in, one clear last line and an exit code out."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_fetcher.errors import FetchError
from model_fetcher.fetch import Fetcher
from model_fetcher.progress import Progress
from model_fetcher.report import failure_line, failure_message, success_line, write_termination_message
from model_fetcher.retry import Retry
from model_fetcher.settings import TERMINATION_LOG, TERMINATION_PATH, read_settings
from model_fetcher.sources.base import Timeouts
from model_fetcher.uris import redact

UMASK = 0o027
"""Files are published as 0640, folders as 0750: the service reads them through its group."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; returns the exit code."""
    os.umask(UMASK)
    # So that an evicted pod cleans its staging up; a killed one leaves that to the next run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run(sys.argv[1:] if argv is None else argv, os.environ)
    except FetchError as error:
        return _fail(error, os.environ)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    settings, jobs = read_settings(argv, environ)
    progress = Progress()
    fetcher = Fetcher(
        progress=progress,
        retry=Retry(settings.retry_budget, notify=lambda text: progress.note(redact(text), "warning")),
        timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
        require_pinned=settings.require_pinned,
    )
    for job in jobs:
        outcome = fetcher.fetch(job.wanted, job.destination)
        sys.stdout.write(f"{success_line(outcome, terminal=sys.stdout.isatty())}\n")


def _fail(error: FetchError, environ: Mapping[str, str]) -> int:
    path = Path(environ.get(TERMINATION_PATH) or TERMINATION_LOG)
    write_termination_message(path, failure_message(error))
    sys.stderr.write(f"{failure_line(error)}\n")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
