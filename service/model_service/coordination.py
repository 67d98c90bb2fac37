"""How a change takes effect in all workers of a pod or in none.

The worker that was asked tries it, then proposes it to all; every worker loads and proves what it would need and
answers, and only when all of them could is it put in force. This is two-phase commit over shared memory (Gray, "Notes
on Data Base Operating Systems", 1978), without its blocking: who proposes holds a lock that dies with its holder, and a
proposal that nobody goes on with changes nothing. A worker that starts meanwhile reads what is in force after it has
told the others that it is there, and before it accepts.
"""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from model_service import tasks
from model_service.board import Board, State
from model_service.errors import BudgetTooSmall, Conflict, LoadFailed, ModelNotFound, ServiceError, Unservable
from model_service.loading import Preloaded
from model_service.registry import Registry
from model_service.traffic.orders import IN_FORCE, POLL_SECONDS, PROPOSED, Desired, Verdict

PATIENCE_SECONDS = 300.0
"""For all workers to load what a proposal needs."""
RETRY_SECONDS = 5.0
REFUSALS: dict[str, type[ServiceError]] = {
    "missing": ModelNotFound, "unservable": Unservable, "budget": Conflict, "busy": Conflict,
}  # fmt: skip
_PROBLEMS: tuple[tuple[type[Exception], str], ...] = (
    (ModelNotFound, "missing"),
    (BudgetTooSmall, "budget"),
    (LoadFailed, "unservable"),
)

log = logging.getLogger(__name__)
Edit = Callable[[Desired], Desired]


class Refused(Exception):
    """A worker cannot do what was proposed; `problem` is its kind, the text the reason."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = problem

    def as_error(self) -> ServiceError:
        """What the client of a command is told."""
        return REFUSALS[self.problem](str(self))


class Follower:
    """Does in one worker what the pod agreed on.

    Args:
        board: of the pod.
        slot: of this worker.
        registry: of this worker.
    """

    def __init__(self, board: Board, slot: int, registry: Registry) -> None:
        self._orders, self._slot, self._registry = board.orders, slot, registry
        self._answered = 0
        self._task: asyncio.Task[None] | None = None

    def load(self, preloaded: Preloaded | None) -> None:
        """Load what is in force.

        Raises:
            LoadFailed: it cannot be served, and why.
        """
        # What was proposed before is left to those who were there: it may be what ended this worker's predecessor.
        self._answered = self._orders.number(PROPOSED)
        self._orders.answer(self._slot, self._answered, Verdict())
        order = self._orders.in_force
        self._registry.load(preloaded, order.desired or Desired())
        self._orders.confirm(self._slot, order.number)

    async def start(self) -> None:
        """Catch up with what came into force meanwhile, and follow from then on."""
        await self._try()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Follow no more."""
        await tasks.cancel(self._task)

    async def _run(self) -> None:
        while True:
            followed = await self._try()
            await asyncio.sleep(POLL_SECONDS if followed else RETRY_SECONDS)

    async def _try(self) -> bool:
        try:
            await self._obey()
            await self._consider()
        except Exception:  # must not end the following
            log.exception("what is in force cannot be followed; it is tried again")
            return False
        return True

    async def _obey(self) -> None:
        if self._orders.number(IN_FORCE) == self._orders.confirmed(self._slot):
            return
        order = self._orders.read(IN_FORCE)
        if order is not None and order.desired is not None:
            await self._registry.prepare(order.desired)
            self._registry.apply(order.desired)
            self._answered = max(self._answered, order.number)
            self._orders.confirm(self._slot, order.number)
            log.info("traffic of generation %d is in force", order.desired.traffic.generation)

    async def _consider(self) -> None:
        if self._orders.number(PROPOSED) <= self._answered:
            return
        order = self._orders.read(PROPOSED)
        if order is None:
            return
        self._answered = order.number
        if order.desired is None:
            self._registry.withdraw()
        elif order.desired.alone in {None, self._slot} and order.number > self._orders.number(IN_FORCE):
            self._orders.answer(self._slot, order.number, await self._verdict(order.desired))

    async def _verdict(self, desired: Desired) -> Verdict:
        try:
            await self._registry.prepare(desired)
        except (ServiceError, LoadFailed) as error:
            problem = next((name for kind, name in _PROBLEMS if isinstance(error, kind)), "busy")
            return Verdict(problem, str(error))
        except Exception as error:
            log.exception("a proposal could not be tried")
            return Verdict("busy", f"a worker failed: {type(error).__name__}; its log has the cause")
        return Verdict()


class Coordinator:
    """Changes what is in force, for whoever is asked to.

    Args:
        board: of the pod.
        slot: of this worker.
        is_prepared: whether this worker would have to load nothing for a change.
    """

    def __init__(self, board: Board, slot: int, is_prepared: Callable[[Desired], bool]) -> None:
        self._board, self._orders = board, board.orders
        self._slot, self._is_prepared = slot, is_prepared

    async def change(self, edit: Edit) -> Desired:
        """Have all workers do what `edit` makes of what is in force; ends when each of them does.

        Args:
            edit: gives its argument back when nothing has to change; what it raises ends the change.

        Raises:
            Refused: a worker could not, or did not answer in time; what was in force stays.
        """
        async with self._orders.exclusive():
            current = self._orders.in_force.desired or Desired()
            desired = edit(current)
            if desired is current:
                return current
            if not self._is_prepared(desired):  # whatever it does to the worker that tries, the others go on
                await self._agree(msgspec.structs.replace(desired, alone=self._slot))
            number = await self._agree(desired)
            self._orders.enact(desired, number)
            await self._all(lambda slot: self._orders.confirmed(slot) >= number)
            return desired

    async def _agree(self, desired: Desired) -> int:
        number = self._orders.propose(desired)
        asked = desired.alone
        try:
            await self._all(lambda slot: asked not in {None, slot} or self._agrees(slot, number))
        except BaseException:
            self._orders.propose(None)
            raise
        return number

    def _agrees(self, slot: int, number: int) -> bool:
        verdict = self._orders.verdict(slot, number)
        if verdict is not None and verdict.problem is not None:
            raise Refused(verdict.problem, verdict.reason)
        return verdict is not None

    async def _all(self, done: Callable[[int], bool]) -> None:
        """Wait until `done` holds in the slot of every live worker."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(done(slot) for slot in self._board.slots if self._board.state(slot) is State.READY):
            if time.monotonic() > deadline:
                raise Refused("busy", f"a worker did not do it within {PATIENCE_SECONDS:g} s")
            await asyncio.sleep(POLL_SECONDS / 4)
