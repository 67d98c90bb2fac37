"""Locks between processes that end with their holder, even when it is killed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold `path`, a file that exists only for this, exclusively; it is gone afterwards.

    Args:
        path: the lock file; its folder is made when missing.
        wait: for another holder to finish.

    Raises:
        BlockingIOError: another holder has it and `wait` is false.
    """
    with _acquire(path, wait=wait):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _acquire(path: Path, *, wait: bool) -> IO[bytes]:
    while True:
        try:
            with suppress(FileExistsError):  # seen by mkdir and gone when it looked again
                path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except FileNotFoundError:  # the folder went away with its last user
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            file.close()
            raise
        if _is_at(file, path):
            return file
        file.close()  # its last holder removed the file while we waited


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
