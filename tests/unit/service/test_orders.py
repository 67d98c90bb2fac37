"""What workers agree on: read whole or not at all, numbered, answered slot by slot."""

import asyncio
import os
import warnings
from typing import Any

import pytest

from model_service import coordination
from model_service.board import Board, State
from model_service.coordination import Coordinator, Refused
from model_service.errors import Conflict, ModelNotFound, Unservable
from model_service.traffic import orders
from model_service.traffic.document import ModelTraffic, Traffic
from model_service.traffic.orders import IN_FORCE, PROPOSED, Desired, Orders, Verdict

SOME = Desired(Traffic(3, {"iris": ModelTraffic("1")}), loaded=(("iris", "2"),), load=("iris", "2"))


def test_what_is_written_is_read_with_its_number() -> None:
    shared = Orders(2)
    assert shared.in_force == (0, None)
    first = shared.propose(SOME)
    assert shared.read(PROPOSED) == (first, SOME)
    assert shared.in_force == (0, None)
    shared.enact(SOME, first)
    assert shared.in_force == (first, SOME)
    taken_back = shared.propose(None)
    assert taken_back == first + 1
    assert shared.read(PROPOSED) == (taken_back, None)


def test_what_is_being_written_is_not_read() -> None:
    shared = Orders(1)
    shared.enact(SOME, shared.propose(SOME))
    memory: Any = shared._memory
    start = IN_FORCE * orders._BLOCK_BYTES
    memory[start + orders._BLOCK.size + 5] ^= 1  # as if the next document were half there
    assert shared.read(IN_FORCE) is None
    memory[start + orders._BLOCK.size + 5] ^= 1
    memory[start + orders._BLOCK.size - 8] ^= 1  # as if only its number were there
    assert shared.read(IN_FORCE) is None


def test_answers_are_those_to_the_proposal_that_is_asked_about() -> None:
    shared = Orders(2)
    shared.answer(1, 7, Verdict("budget", "ü" * 5000))
    assert shared.verdict(1, 6) is None
    assert shared.verdict(0, 7) is None
    verdict = shared.verdict(1, 7)
    assert verdict is not None
    assert (verdict.problem, verdict.reason) == ("budget", "ü" * (orders.REASON_BYTES // 4))
    shared.confirm(1, 9)
    assert (shared.confirmed(1), shared.verdict(1, 7)) == (9, verdict)
    shared.clear(1)
    assert (shared.confirmed(1), shared.verdict(1, 7)) == (0, None)


def test_one_at_a_time_proposes_in_this_process_and_in_others() -> None:
    shared = Orders(1)

    async def two() -> list[str]:
        events = []

        async def one(name: str) -> None:
            async with shared.exclusive():
                events.append(f"{name} begins")
                await asyncio.sleep(0)
                events.append(f"{name} ends")

        await asyncio.gather(one("a"), one("b"))
        return events

    assert asyncio.run(two()) == ["a begins", "a ends", "b begins", "b ends"]
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: this one starts none
        child = os.fork()
    if child == 0:
        asyncio.run(hold(shared, writing))
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 4) == b"held"
    assert not shared._try_lock()
    os.kill(child, 9)  # the lock dies with its holder
    os.waitpid(child, 0)
    os.close(reading)
    assert shared._try_lock()


async def hold(shared: Orders, pipe: int) -> None:
    async with shared.exclusive():
        os.write(pipe, b"held")
        await asyncio.sleep(60)


@pytest.fixture
def board() -> Board:
    """Two workers that are there and do nothing."""
    board = Board(2)
    for _ in range(2):
        board.write(board.claim(), State.READY)
    return board


def coordinator(board: Board) -> Coordinator:
    return Coordinator(board, 0, lambda _: True)


def test_a_change_is_tried_by_one_worker_before_the_others_are_asked(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = board.orders.number(PROPOSED) + 1
    board.orders.answer(1, number, Verdict("unservable", "the second worker's, which nobody asks"))
    board.orders.answer(0, number, Verdict("unservable", "the first worker's"))
    with pytest.raises(Refused, match="the first worker's"):
        asyncio.run(Coordinator(board, 0, lambda _: False).change(lambda _: SOME))
    assert board.orders.number(PROPOSED) == number + 1  # and that took it back


def test_a_worker_that_does_not_answer_in_time_is_a_conflict(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordination, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Refused, match="a worker did not do it within 0 s") as refused:
        asyncio.run(coordinator(board).change(lambda _: SOME))
    assert isinstance(refused.value.as_error(), Conflict)
    found = board.orders.read(PROPOSED)
    assert found is not None
    assert found.desired is None  # taken back
    assert board.orders.in_force == (0, None)


@pytest.mark.parametrize(
    ("problem", "error"),
    [("missing", ModelNotFound), ("unservable", Unservable), ("budget", Conflict), ("busy", Conflict)],
)
def test_what_one_worker_cannot_none_does(board: Board, problem: str, error: type[Exception]) -> None:
    number = board.orders.number(PROPOSED) + 1
    board.orders.answer(0, number, Verdict())
    board.orders.answer(1, number, Verdict(problem, "the reason"))
    with pytest.raises(Refused, match="the reason") as refused:
        asyncio.run(coordinator(board).change(lambda _: SOME))
    assert type(refused.value.as_error()) is error
    assert board.orders.in_force == (0, None)


def test_workers_that_are_gone_are_not_waited_for(board: Board) -> None:
    number = board.orders.number(PROPOSED) + 1
    board.orders.answer(0, number, Verdict())
    board.orders.confirm(0, number)
    board.write(1, State.DRAINING)
    assert asyncio.run(coordinator(board).change(lambda _: SOME)) is SOME
    assert board.orders.in_force == (number, SOME)


def test_a_change_that_changes_nothing_asks_nobody(board: Board) -> None:
    assert asyncio.run(coordinator(board).change(lambda current: current)) == Desired()
    assert board.orders.number(PROPOSED) == 0
