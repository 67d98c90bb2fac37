"""What steers a worker: the traffic file, commands of the admin API, and what the pod agreed on."""

from model_service.admin.commands import Commands
from model_service.board import Board
from model_service.coordination import Coordinator, Follower
from model_service.loading import Preloaded
from model_service.registry import Registry
from model_service.settings import Settings
from model_service.traffic.source import TrafficFile, enact_file


class Control:
    """The parts of one worker; nothing runs where nothing can change.

    Args:
        settings: of the service.
        board: of the pod.
        slot: of this worker.
        registry: of this worker.
    """

    def __init__(self, settings: Settings, board: Board, slot: int, registry: Registry) -> None:
        self._settings, self._board = settings, board
        self.commands = Commands(settings, registry, Coordinator(board, slot, registry.is_prepared))
        self._follower = Follower(board, slot, registry)
        path = settings.traffic_file
        self._file = None if path is None else TrafficFile(path, lambda: board.leads(slot), self.commands.set_traffic)

    def load(self, preloaded: Preloaded | None) -> None:
        """Load and prove what is in force.

        Raises:
            LoadFailed: it cannot be served, and why.
        """
        if preloaded is None:
            enact_file(self._settings.traffic_file, self._board.orders)
        self._follower.load(preloaded)

    async def start(self) -> None:
        """Follow changes; before the first connection is accepted."""
        if self._file is not None:
            self._file.start()
        if self._file is not None or self._settings.admin.port:
            await self._follower.start()

    async def stop(self) -> None:
        """Follow no more."""
        await self._follower.stop()
        if self._file is not None:
            await self._file.stop()
