"""Threads and connections: how many work at once, and how all of them end when one fails."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from queue import SimpleQueue
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import Any, TypeVar

from model_fetcher.retry import Stopped
from model_fetcher.sources.base import Ask, Content, Source

T = TypeVar("T")
GRACE = 2.0
"""Seconds that threads get to end after a failure; those that hang in the network end with the process."""


class Crew:
    """Threads that do jobs in the order they were given. Daemons: none may keep the process from ending."""

    def __init__(self, size: int, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._size, self._name = size, name
        self._threads = 0
        self._lock = Lock()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Do the job when its turn comes."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        with self._lock:
            if self._threads < self._size:
                self._threads += 1
                Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def dismiss(self) -> None:
        """Let the threads end when they have nothing left to do."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None:
            future, job = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)


class Lanes:
    """`count` connections, one crew for whole files and one for parts of large ones. `stop` is set when it is over."""

    def __init__(self, count: int, stop: Event) -> None:
        self.files, self.parts = Crew(count, "file"), Crew(count, "part")
        self._slots = BoundedSemaphore(count)
        self._stop = stop
        self._reading: set[Callable[[], None]] = set()

    @contextmanager
    def open(self, source: Source, ask: Ask) -> Iterator[Content]:
        """Read from a source when a connection is free. Raises Stopped when it is over."""
        with self._slots:
            self.require_going()
            with source.open(ask) as content:
                self._reading.add(content.cancel)
                try:
                    self.require_going()
                    yield content
                finally:
                    self._reading.discard(content.cancel)

    def require_going(self) -> None:
        """Raises Stopped when it is over."""
        if self._stop.is_set():
            raise Stopped

    def all(self, jobs: list[Callable[[], T]]) -> list[T]:
        """Do the jobs side by side, on the crew for files; the first that fails ends all.

        Returns:
            What they return, in their order.
        """
        futures = [self.files.submit(job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in sorted(done, key=lambda future: isinstance(future.exception(), Stopped)):
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            self._cut()
            for future in futures:
                future.cancel()
            wait(futures, timeout=GRACE)
            raise

    def close(self) -> None:
        """Let the threads go."""
        self.files.dismiss()
        self.parts.dismiss()

    def _cut(self) -> None:
        self._stop.set()
        for cancel in list(self._reading):
            cancel()
