"""Identifiers: UUIDs of version 4 that nobody has twice, whichever process or thread makes them."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from uuid import UUID

from model_service.ids import make_id, make_ids


def several(count: int) -> list[str]:
    return [(beginning + end).decode() for beginning, ends in make_ids(count) for end in ends]


def test_an_id_is_a_random_uuid() -> None:
    for text in (make_id(), *several(3)):
        identifier = UUID(text)
        assert (str(identifier), identifier.version, identifier.variant) == (text, 4, UUID(int=1 << 63).variant)


def test_several_are_as_many_as_were_asked_for() -> None:
    assert [len(set(several(count))) for count in (0, 1, 100, 4096, 10_000)] == [0, 1, 100, 4096, 10_000]


def test_threads_never_share_one() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [text for texts in pool.map(lambda _: [make_id(), *several(200)], range(50)) for text in texts]
    assert len(set(made)) == len(made) == 50 * 201


def _send_ids(pipe: Connection) -> None:
    pipe.send(several(1000))


def test_forked_processes_never_share_one() -> None:
    context = multiprocessing.get_context("fork")
    made = several(1000)
    pipes = []
    for _ in range(3):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_send_ids, args=(theirs,))
        child.start()
        pipes.append((ours, child))
    for pipe, child in pipes:
        made += pipe.recv()
        child.join()
    made += several(1000)
    assert len(set(made)) == 5000
    assert len({text[:24] for text in made}) == 4  # each process has its own random half
