"""Kills fills of a folder with SIGKILL before their first change of the file system, before their second, and so on.

    python dying.py WORK FIRST NEXT [NEXT ...]

Each `WORK/<n>` ends up as the first bundle, whole, over which each next one was tried by a process that was killed
before its change number n. It ends with the first n at which nothing was left to kill; the last line printed is that n.
One program for all of them, for it is a fork, of a process without threads, that makes so many deaths cheap.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

from model_fetcher import landing
from model_fetcher.destinations import Folder
from model_fetcher.fetch import Fetcher
from model_fetcher.plan import Wanted
from model_fetcher.progress import Progress
from model_fetcher.retry import Retry
from model_fetcher.sources.base import Access

landing.PART = 4  # so that some files come in parts, with a ledger
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
WRITING = os.O_WRONLY | os.O_RDWR


def fill(uri: str, folder: Path) -> None:
    # One connection, so that the changes come in the same order each time.
    Fetcher(Progress(), Retry(), Access(connections=1)).fetch(Wanted(uri), Folder(folder))


def die_before(change: int) -> None:
    count = itertools.count()

    def watch(event: str, args: tuple[object, ...]) -> None:
        changes = event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & WRITING)
        if changes and next(count) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def killed(uri: str, folder: Path, change: int) -> bool:
    child = os.fork()
    if not child:
        die_before(change)
        try:
            fill(uri, folder)
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        sys.exit(f"{folder}: {uri} could not be fetched")
    return status != 0


def main(work: Path, first: str, *following: str) -> None:
    for change in itertools.count():
        folder = work / f"{change:03}"
        fill(first, folder)
        deaths = [killed(uri, folder, change) for uri in following]
        if not any(deaths):
            sys.stdout.write(f"{change}\n")
            return


os.fsync = lambda _: None  # what a killed process wrote is not lost, so that only waiting is saved
main(Path(sys.argv[1]), *sys.argv[2:])
