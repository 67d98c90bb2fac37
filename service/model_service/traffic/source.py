"""The traffic document as a file: read before the first worker starts, and looked at again every two seconds.

One worker looks for all of them, the one in the lowest slot that is taken.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from model_service import tasks
from model_service.errors import LoadFailed, ServiceError
from model_service.traffic.document import Traffic, TrafficInvalid, parse
from model_service.traffic.orders import IN_FORCE, Desired, Orders

LOOK_SECONDS = 2.0
log = logging.getLogger(__name__)


def enact_file(path: Path | None, orders: Orders) -> None:
    """Put the file's document in force where nothing is; no file is no document.

    Raises:
        LoadFailed: it is there, and is no traffic document.
    """
    if path is None or orders.number(IN_FORCE):
        return
    try:
        content = _read(path)
        traffic = Traffic() if content is None else parse(content)
    except (OSError, TrafficInvalid) as error:
        raise LoadFailed(f"MODELPORT_TRAFFIC_FILE: {path}: {error}") from error
    orders.enact(Desired(traffic), orders.propose(None))


class TrafficFile:
    """Proposes the document when its file changes.

    Args:
        path: of the file.
        leads: whether it is for this worker to look.
        propose: puts a document in force; raises where that cannot be.
    """

    def __init__(self, path: Path, leads: Callable[[], bool], propose: Callable[[Traffic], Awaitable[object]]) -> None:
        self._path, self._leads, self._propose = path, leads, propose
        self._seen: bytes | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        await tasks.cancel(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._leads():
                await self.look()

    async def look(self) -> None:
        """Propose what is there, once; what cannot take effect is told in the log, and tried when it changes again."""
        try:
            content = await asyncio.to_thread(_read, self._path)
            if content is None or content == self._seen:
                return
            self._seen = content
            await self._propose(parse(content))
        except (OSError, TrafficInvalid, ServiceError) as error:
            log.warning("%s does not take effect: %s", self._path, error)
        except Exception:  # a fault of ours must not end the looking
            log.exception("%s could not be tried", self._path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
