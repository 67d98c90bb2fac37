"""The buckets of all pods, in a Redis: one round trip for all the requests that came while the last one was under way.

When the Redis does not answer in time, requests go by their pod's own buckets from that moment on, and none waits; a
task in the background asks for the Redis until it is back. A Redis that lost its data, or a script, gives full buckets.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from model_service import tasks
from model_service.limits.buckets import Charge, Taken
from model_service.limits.client import connect
from model_service.limits.settings import LimitsSettings
from model_service.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
MOST_BYTES = 128
"""Of a caller's name in a key: paths and tokens choose some of them."""
MICROSECONDS = 1e6
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local answer = {1}
for i, key in ipairs(KEYS) do
  local backlog = math.max((tonumber(redis.call('GET', key)) or 0) - now, 0)
  if backlog + ARGV[2 * i - 1] > ARGV[2 * i] + 0 then answer[1] = 0 end
  answer[i + 1] = backlog
end
if answer[1] == 1 then
  for i, key in ipairs(KEYS) do
    answer[i + 1] = answer[i + 1] + ARGV[2 * i - 1]
    redis.call('SET', key, string.format('%.0f', now + answer[i + 1]), 'PX', math.ceil(answer[i + 1] / 1e3))
  end
end
return answer
"""
"""`Buckets.take` in the Redis, by its clock, in microseconds: KEYS are buckets, ARGV their intervals and depths."""


class SharedBuckets:
    """Buckets that all pods take from.

    Args:
        settings: where the Redis is.
        metrics: are told whether this worker counts alone.

    Raises:
        SettingsInvalid: its client is not installed, or the password cannot be read.
    """

    def __init__(self, settings: LimitsSettings, metrics: Metrics) -> None:
        self._redis = connect(settings.redis_url or "", settings)
        self._prefix = settings.redis_prefix
        self._seconds = settings.redis_timeout_ms / 1000
        self._alone = metrics.gauge("rate_limit_fallback")
        self._script = ""
        self._waiting: list[tuple[Sequence[Charge], asyncio.Future[Taken | None]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._search: asyncio.Task[None] | None = None
        self.answers = False

    async def start(self) -> None:
        """Look for the Redis; when it does not answer, go on looking in the background."""
        try:
            await self._greet()
        except Exception as error:
            self._lose(error)

    async def stop(self) -> None:
        """Leave the Redis."""
        self.answers = False
        for task in (self._search, self._sender):
            await tasks.cancel(task)
        await self._redis.aclose()

    async def take(self, charges: Sequence[Charge]) -> Taken | None:
        """As `Buckets.take`; null when the Redis does not answer."""
        future: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((charges, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                async with asyncio.timeout(self._seconds):
                    answers = await self._trip(batch)
            except Exception as error:  # whatever it is, nobody must wait for it
                self._lose(error)
                answers = [None] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # its request may have been given up
                    future.set_result(answer)
        self._sender = None

    async def _trip(self, batch: Sequence[tuple[Sequence[Charge], Any]]) -> list[Taken | None]:
        pipeline = self._redis.pipeline(transaction=False)
        for charges, _ in batch:
            keys = [f"{self._prefix}:{limit.label}:".encode() + _short(caller) for limit, caller in charges]
            numbers = [n * MICROSECONDS for limit, _ in charges for n in (limit.interval, limit.depth)]
            pipeline.evalsha(self._script, len(keys), *keys, *numbers)
        replies = await pipeline.execute()
        return [(allowed == 1, [n / MICROSECONDS for n in backlogs]) for allowed, *backlogs in replies]

    async def _greet(self) -> None:
        """Load the script and take from a bucket of nobody's: one that may not be written to is no use."""
        async with asyncio.timeout(max(self._seconds, RETRY_SECONDS)):
            self._script = await self._redis.script_load(SCRIPT)
            await self._redis.evalsha(self._script, 1, f"{self._prefix}:probe", 1, 1)
        self.answers = True
        self._alone.set(0)

    def _lose(self, error: Exception) -> None:
        self.answers = False
        self._alone.set(1)
        if self._search is None:
            reason = str(error) or type(error).__name__
            log.warning("the Redis of the rate limits does not answer (%s): this pod counts on its own", reason)
            self._search = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while not self.answers:
            await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(Exception):
                await self._greet()
        self._search = None
        log.info("the Redis of the rate limits answers again: all pods count together")


def _short(caller: str) -> bytes:
    name = caller.encode(errors="replace")  # a token may hold what is no text, and must not fail those it travels with
    return name if len(name) <= MOST_BYTES else sha256(name).hexdigest().encode()
