"""What waits for the model: answered in time or told so, forgotten when its client leaves, and never left hanging."""

import asyncio
import math
import time
from typing import Any

import pytest
from support.batching import LOOPS, PATIENCE, Bench, Model, run

from model_service.errors import ClientLeft, DeadlineExceeded, ModelNotReady, Overloaded, PredictionFailed, ServiceError
from model_service.telemetry.batches import BatchTelemetry

SOON = 0.05
REACHES = 0.5
"""In so many seconds a request is with a model that is free, however busy the machine is."""
LONG = 60.0
every_loop = pytest.mark.parametrize("loop", LOOPS)


@every_loop
@pytest.mark.parametrize("queued", [True, False], ids=["queued", "running"])
def test_a_deadline_is_kept_while_the_model_is_busy(loop: str, queued: bool) -> None:
    model = Model()
    bench = Bench(model)

    async def main() -> None:
        model.hold()
        if queued:
            busy = bench.send(1.0)
            await model.entered()
        with pytest.raises(DeadlineExceeded):
            await bench.submit(2.0, seconds=SOON if queued else REACHES)
        model.release()
        if queued:
            await busy
        assert await bench.submit(3.0) == [10.0]

    run(loop, main())
    assert (2.0 in model.seen) is not queued


@every_loop
def test_a_request_that_comes_too_late_never_reaches_the_model(loop: str) -> None:
    model = Model()
    bench = Bench(model)

    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await bench.submit(1.0, seconds=0)

    run(loop, main())
    assert model.calls == []


@every_loop
def test_deadlines_and_lost_clients_do_not_wait_for_the_window(loop: str) -> None:
    model = Model()
    bench = Bench(model, window=LONG, batch_rows=2)

    async def leaves() -> None:
        return

    async def main() -> None:
        with pytest.raises(DeadlineExceeded):
            await bench.submit(1.0, seconds=SOON)
        with pytest.raises(ClientLeft):
            await bench.submit(2.0, gone=leaves)
        await bench.submit(3.0, 4.0)

    run(loop, main())
    assert model.seen == [3.0, 4.0]
    assert bench.metric("model_requests_cancelled_total") == 1


@every_loop
def test_a_client_that_leaves_the_queue_never_reaches_the_model_and_makes_room(loop: str) -> None:
    model = Model()
    bench = Bench(model, queue_rows=1)

    async def main() -> None:
        model.hold()
        busy = bench.send(1.0)
        await model.entered()
        left = asyncio.Event()

        async def leaves() -> None:
            await left.wait()

        waiting = bench.send(2.0, gone=leaves)
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await bench.submit(3.0)
        left.set()
        with pytest.raises(ClientLeft):
            await waiting
        while True:  # its place is given back within a tick
            try:
                after = bench.send(4.0)
                await asyncio.wait({after}, timeout=0.01)
                if not after.done():
                    break
                after.result()
            except Overloaded:
                continue
        model.release()
        await asyncio.gather(busy, after)

    run(loop, main())
    assert model.seen == [1.0, 4.0]
    assert bench.metric("model_requests_cancelled_total") == 1


@every_loop
def test_a_full_queue_refuses_with_the_time_that_its_rows_take(loop: str) -> None:
    model = Model()
    bench = Bench(model, queue_rows=8)

    async def main() -> tuple[int, float]:
        model.hold()
        started = time.perf_counter()
        slow = bench.send(1.0)
        await model.entered()
        await asyncio.wait({slow}, timeout=0.3)
        model.release()
        await slow
        longest = time.perf_counter() - started
        model.hold()
        running = bench.send(2.0)
        await model.entered()
        queued = [bench.send(float(value)) for value in range(8)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as full:
            await bench.submit(9.0)
        with pytest.raises(Overloaded):  # there is room in time for nobody whose patience is shorter than the queue
            await bench.submit(seconds=SOON)
        model.release()
        await asyncio.gather(running, *queued)
        return full.value.retry_after, longest

    retry_after, longest = run(loop, main())
    assert math.ceil(8 * model.seconds[0]) <= retry_after <= math.ceil(8 * longest)
    assert 9.0 not in model.seen


class Faulty(BatchTelemetry):
    """Telemetry that breaks, as anything of ours might."""

    fault = ""

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "fault"):
            raise OSError("a fault of ours")
        return super().__getattribute__(name)


@every_loop
@pytest.mark.parametrize("inline_rows", [0, 64], ids=["thread", "inline"])
@pytest.mark.parametrize("fault", ["started", "calling", "ended"])
def test_a_fault_in_the_loop_resolves_everybody_and_is_told(loop: str, inline_rows: int, fault: str) -> None:
    bench = Bench(Model(), Faulty, inline_rows=inline_rows, batch_rows=4)

    async def main() -> list[Any]:
        await bench.submit(0.0)
        bench.telemetry.fault = fault  # type: ignore[attr-defined]
        answers = await asyncio.gather(*(bench.submit(1.0, 2.0) for _ in range(5)), return_exceptions=True)
        with pytest.raises(ModelNotReady):
            await bench.submit(3.0)
        return answers

    assert {type(answer) for answer in run(loop, main())} == {PredictionFailed}
    assert any("a fault of ours" in death for death in bench.deaths)


@every_loop
def test_a_call_that_never_ends_is_told_and_nobody_waits_for_it(loop: str) -> None:
    model = Model()
    bench = Bench(model, stuck_seconds=SOON)

    async def main() -> None:
        model.hold()
        running = bench.send(1.0)
        await model.entered()
        queued = bench.send(2.0)
        answers = await asyncio.gather(running, queued, return_exceptions=True)
        assert all(isinstance(answer, ServiceError) for answer in answers)
        with pytest.raises(ModelNotReady):
            await bench.submit(3.0)
        model.release()

    run(loop, main())
    assert len(bench.deaths) == 1
    assert "has not ended" in bench.deaths[0]
    bench.batcher.close()
    assert model.seen == [1.0]


@every_loop
def test_a_caller_that_is_cancelled_is_not_computed(loop: str) -> None:
    model = Model()
    bench = Bench(model)

    async def main() -> None:
        model.hold()
        busy = bench.send(1.0)
        await model.entered()
        waiting = bench.send(2.0)
        await asyncio.sleep(0)
        waiting.cancel()
        model.release()
        await busy
        assert await bench.submit(3.0, seconds=PATIENCE) == [10.0]

    run(loop, main())
    assert 2.0 not in model.seen
