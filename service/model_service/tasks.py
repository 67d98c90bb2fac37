"""Tasks that run until the service stops."""

import asyncio
from contextlib import suppress


async def cancel(task: "asyncio.Task[None] | None") -> None:
    """Cancel a task, if there is one, and return once it has ended."""
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
