"""The program `model-fetch`: arguments and environment in, one clear last line and an exit code out."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_artifact.delivery import DeliveryError
from model_fetcher.cache import Cache
from model_fetcher.fetch import Fetcher
from model_fetcher.in_place import verify_in_place
from model_fetcher.progress import VERIFYING, Progress
from model_fetcher.report import (
    failure_line,
    failure_message,
    success_line,
    versions_report,
    write_termination_message,
)
from model_fetcher.retry import Retry
from model_fetcher.settings import TERMINATION_LOG, TERMINATION_PATH, Settings, read_listing, read_settings
from model_fetcher.sources.base import Access, Timeouts
from model_fetcher.uris import redact
from model_fetcher.versions import list_versions

UMASK = 0o027
"""Files are published as 0640, folders as 0750: the service reads them through its group."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; returns the exit code."""
    os.umask(UMASK)
    # So that an evicted pod cleans its staging up; a killed one leaves that to the next run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _run(sys.argv[1:] if argv is None else argv, os.environ)
    except DeliveryError as error:
        return _fail(error, os.environ)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    if argv[:1] == ["versions"]:
        _list(argv[1:], environ)
        return
    settings, jobs = read_settings(argv, environ)
    fetcher = _fetcher(settings)
    for job in jobs:
        if job.destination is None:
            outcome = verify_in_place(job.wanted, Progress(verbs=VERIFYING), require_pinned=settings.require_pinned)
        else:
            outcome = fetcher.fetch(job.wanted, job.destination)
        sys.stdout.write(f"{success_line(outcome, terminal=sys.stdout.isatty())}\n")


def _list(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    settings, uri, as_json = read_listing(argv, environ)
    found = list_versions(_fetcher(settings), uri)
    sys.stdout.write(f"{versions_report(found, as_json=as_json)}\n")


def _fetcher(settings: Settings) -> Fetcher:
    progress = Progress()

    def warn(text: str) -> None:
        progress.note(redact(text), "warning")

    return Fetcher(
        progress=progress,
        retry=Retry(settings.retry_budget, notify=warn),
        access=Access(
            timeouts=Timeouts(settings.connect_timeout, settings.read_timeout),
            auth=settings.auth,
            ca_bundle=settings.ca_bundle,
            headers=dict(settings.headers),
            connections=settings.connections,
            notify=warn,
        ),
        require_pinned=settings.require_pinned,
        cache=Cache(settings.cache, settings.cache_size, warn) if settings.cache else None,
    )


def _fail(error: DeliveryError, environ: Mapping[str, str]) -> int:
    path = Path(environ.get(TERMINATION_PATH) or TERMINATION_LOG)
    write_termination_message(path, failure_message(error))
    sys.stderr.write(f"{failure_line(error)}\n")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
