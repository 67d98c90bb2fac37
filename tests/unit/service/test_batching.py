"""Micro-batches: everybody gets their own rows, of calls that are as large as they may be."""

import asyncio
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.batching import LOOPS, Bench, Model, run

from model_artifact.coercion import Row
from model_service import batch
from model_service.batch import Answered, WrongRowCount
from model_service.errors import PredictionFailed

LONG = 60.0
every_loop = pytest.mark.parametrize("loop", LOOPS)


@given(
    loop=st.sampled_from(sorted(LOOPS)),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    batch_rows=st.integers(1, 32),
    inline_rows=st.sampled_from([0, 4, 1000]),
    window=st.sampled_from([0.0, 0.002]),
    turns=st.integers(1, 4),
)
@settings(max_examples=150)
def test_any_mix_of_requests_gets_its_own_rows_in_calls_of_limited_size(
    loop: str, sizes: list[int], batch_rows: int, inline_rows: int, window: float, turns: int
) -> None:
    model = Model()
    limits = {"batch_rows": batch_rows, "inline_rows": min(inline_rows, batch_rows), "queue_rows": 30 * 40}
    bench = Bench(model, window=window, **limits)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    requests = [[float(start + row) / 7 for row in range(size)] for start, size in zip(starts, sizes, strict=True)]

    async def main() -> list[list[Any]]:
        sent = []
        for index, values in enumerate(requests):
            sent.append(bench.send(*values))
            if index % turns == 0:
                await asyncio.sleep(0)
        return await asyncio.gather(*sent)

    answers = run(loop, main())
    assert answers == [[Model.answer([value]) for value in values] for values in requests]
    assert max(map(len, model.calls)) <= batch_rows
    assert sorted(model.seen) == sorted(value for values in requests for value in values)
    bench.batcher.close()


@every_loop
def test_one_bad_request_fails_alone(loop: str) -> None:
    model, inline = Model(), Model()
    for each, limits in ((model, {}), (inline, {"inline_rows": 64})):
        bench = Bench(each, **limits)
        each.refuses.add(13.0)

        async def main(bench: Bench = bench) -> list[Any]:
            return await asyncio.gather(*(bench.submit(float(value)) for value in range(32)), return_exceptions=True)

        answers = run(loop, main())
        assert isinstance(answers.pop(13), PredictionFailed)
        assert answers == [[Model.answer([float(value)])] for value in range(32) if value != 13]
        assert len(each.calls) <= 1 + 2 * math.log2(32)


@every_loop
def test_a_wrong_number_of_rows_is_a_failure_of_those_requests_and_is_counted(loop: str) -> None:
    def short(rows: list[Row]) -> Answered:
        if len(rows) > 2:
            raise WrongRowCount("the model answered 1 rows to 3")
        return Answered([row[0] for row in rows], None)

    bench = Bench(short)

    async def main() -> list[Any]:
        wrong = await asyncio.gather(bench.submit(1.0), bench.submit(2.0, 3.0), return_exceptions=True)
        return [*wrong, await bench.submit(4.0, 5.0)]

    *wrong, right = run(loop, main())
    assert [type(error) for error in wrong] == [PredictionFailed, PredictionFailed]
    assert right == [4.0, 5.0]
    assert bench.metric("model_row_count_mismatches_total") == 1


@every_loop
def test_a_window_waits_from_its_first_request_on(loop: str) -> None:
    model, window = Model(), 0.2
    bench = Bench(model, window=window)

    async def main() -> float:
        started = time.perf_counter()
        first = bench.send(1.0)
        for _ in range(2):  # turns of the loop in which it would be answered if there were no window
            await asyncio.sleep(0)
        others = [bench.send(2.0)]
        while not (await asyncio.wait({first}, timeout=0.02))[0]:
            others.append(bench.send(2.0))  # were the window to begin anew with each, it would never end
        waited = time.perf_counter() - started
        await asyncio.gather(*others)
        return waited

    assert run(loop, main()) >= window
    assert len(model.calls[0]) > 1
    assert bench.metric("model_batches_total", "window") >= 1
    assert bench.metric("model_batches_total", "idle") == 0


@every_loop
def test_a_batch_that_is_full_does_not_wait_for_the_window(loop: str) -> None:
    model = Model()
    bench = Bench(model, window=LONG, batch_rows=3)

    async def main() -> None:
        await asyncio.gather(bench.submit(1.0), bench.submit(2.0, 3.0))

    run(loop, main())
    assert [len(call) for call in model.calls] == [3]
    assert bench.metric("model_batches_total", "full") == 1


@pytest.mark.parametrize(("quick_seconds", "later"), [(1e9, [600]), (0.0, [256, 256, 88])], ids=["quick", "slow"])
def test_more_rows_than_usual_share_a_call_only_of_a_model_that_was_quick(
    monkeypatch: pytest.MonkeyPatch, quick_seconds: float, later: list[int]
) -> None:
    monkeypatch.setattr(batch, "QUICK_SECONDS", quick_seconds)
    model = Model()
    bench = Bench(model, batch_rows=700)

    async def main() -> None:
        for _ in range(2):
            await bench.submit(*map(float, range(600)))

    run("asyncio", main())
    assert [len(call) for call in model.calls] == [256, 256, 88, *later]
    bench.batcher.close()


@pytest.mark.parametrize(
    ("share", "batch_rows", "rows_per_second", "rows"),
    [
        (True, 8192, 0.0, 256), (True, 8192, 5_000.0, 256), (True, 8192, 50_000.0, 1000), (True, 8192, 1e9, 8192),
        (True, 100, 0.0, 100), (True, 100, 1e9, 100), (False, 5000, 0.0, 5000),
    ],
)  # fmt: skip
def test_a_call_takes_what_the_model_answers_quickly(
    share: bool, batch_rows: int, rows_per_second: float, rows: int
) -> None:
    limits = batch.Limits(share, batch_rows, queue_rows=8192, window=0.0, inline_rows=0, stuck_seconds=60.0)
    assert limits.rows_of_call(rows_per_second) == rows


@every_loop
def test_what_waits_while_a_call_runs_is_the_next_batch(loop: str) -> None:
    model = Model()
    bench = Bench(model)

    async def main() -> None:
        model.hold()
        first = bench.send(0.0)
        await model.entered()
        others = [bench.send(float(value)) for value in range(1, 6)]
        await asyncio.sleep(0)
        model.release()
        await asyncio.gather(first, *others)

    run(loop, main())
    assert [len(call) for call in model.calls] == [1, 5]
    assert bench.metric("model_batches_total", "idle") == 2
    assert bench.metric("model_batch_rows_sum") == 6
    assert bench.metric("model_queue_duration_seconds_count") == 6
    assert bench.metric("model_compute_infer_duration_seconds_count") == 2
