"""Metrics sent to where they are wanted, for sites that do not scrape: the numbers of all workers, sent by one of them.

The worker in the lowest slot that is taken sends; when it ends, the next one goes on. So every receiver sees one
source for each pod, whose counters never go back, and nobody has to add up workers.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from model_service.board import Board
from model_service.telemetry.totals import Family, Totals

log = logging.getLogger(__name__)
LAST_SECONDS = 3.0
"""The last sending, at the end, may take so long."""


class Sink(Protocol):
    """A receiver: `seconds` between sendings, and how to send."""

    seconds: float

    def send(self, families: Sequence[Family]) -> None:
        """Send the totals; whatever it raises is logged and forgotten."""
        ...


class Pusher:
    """Sends to one sink, in a thread of its own, from the start of a worker to its end."""

    def __init__(self, sink: Sink, totals: Totals, board: Board, slot: int) -> None:
        self._sink, self._totals, self._board, self._slot = sink, totals, board, slot
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin; after the fork, because threads do not survive one."""
        self._thread.start()

    def stop(self) -> None:
        """Send once more, and wait for it no longer than three seconds."""
        self._ended.set()
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        failed = False
        while True:
            last = self._ended.wait(self._sink.seconds)
            if self._board.leads(self._slot):
                failed = self._send(failed_before=failed)
            if last:
                return

    def _send(self, *, failed_before: bool) -> bool:
        try:
            self._sink.send(self._totals.families())
        except Exception as error:  # a receiver that is gone must not end the sending
            if not failed_before:
                log.warning("metrics are not received: %s", error)
            return True
        return False
