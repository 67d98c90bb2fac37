"""Which resource gets a turn when: one turn a resource at a time, the soonest wish counts, failures wait longer.

The semantics of client-go's workqueue: what is added while its turn runs gets another one afterwards; nothing is lost.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable

from model_operator.metrics import WAITING

Key = tuple[str, str]
"""Namespace and name."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds after a failed turn: doubled with each."""


class WorkQueue:
    """Keys with the time of their next turn. For one event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: Key, after: float = 0.0) -> None:
        """Have a turn after so many seconds, or sooner where that was wished for."""
        due = self._clock() + after
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            WAITING.set(len(self._due))
            self._changed.set()

    def next_due(self) -> tuple[Key | None, float | None]:
        """A key whose turn it is, or None with the seconds until one is due (None: nothing waits)."""
        late: list[tuple[float, Key]] = []
        found, wait = None, None
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)
            elif due > self._clock():
                wait = due - self._clock()
                break
            elif key in self._running:
                late.append(heapq.heappop(self._heap))
            else:
                heapq.heappop(self._heap)
                found = key
                break
        for entry in late:
            heapq.heappush(self._heap, entry)
        if found is not None:
            del self._due[found]
            self._running.add(found)
            WAITING.set(len(self._due))
        return found, wait

    def done(self, key: Key, again: float | None) -> None:
        """A turn is over; the next one after `again` seconds, None: only when something happens."""
        self._running.discard(key)
        self._failures.pop(key, None)
        if again is not None:
            self.add(key, again)
        self._changed.set()

    def failed(self, key: Key) -> None:
        """A turn failed: again, later each time."""
        self._running.discard(key)
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        self.add(key, min(FIRST_WAIT * 2**count, LONGEST_WAIT))
        self._changed.set()

    async def work(
        self, turn: Callable[[Key], Awaitable[float | None]], failed: Callable[[Key, Exception], None]
    ) -> None:
        """Give turns for ever; run several of these for several turns at a time."""
        while True:
            self._changed.clear()
            key, wait = self.next_due()
            if key is None:
                await self._wait(wait)
                continue
            try:
                again = await turn(key)
            except Exception as error:
                failed(key, error)
                self.failed(key)
            else:
                self.done(key, again)

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return
