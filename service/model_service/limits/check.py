"""Whether the Redis of the limits can be what it should be: one server."""

import asyncio

from model_service.errors import SettingsInvalid
from model_service.limits.client import CONNECT_SECONDS, connect
from model_service.limits.settings import LimitsSettings


def check(settings: LimitsSettings) -> None:
    """Refuse a start with a Redis that will never do; one that does not answer may do so later.

    Raises:
        SettingsInvalid: it is a node of a cluster, its client is not installed, or the password cannot be read.
    """
    if settings.rules and settings.redis_url:
        asyncio.run(_ask(settings.redis_url, settings))


async def _ask(url: str, settings: LimitsSettings) -> None:
    client = connect(url, settings)
    from redis.exceptions import (  # noqa: PLC0415 - optional
        ClusterCrossSlotError,
        ClusterDownError,
        MovedError,
        RedisError,
    )

    try:
        async with client, asyncio.timeout(CONNECT_SECONDS):
            await client.exists(*(f"{settings.redis_prefix}:{number}" for number in range(2)))
    except (ClusterCrossSlotError, ClusterDownError, MovedError) as error:
        raise SettingsInvalid(
            f"MODELPORT_LIMITS__REDIS_URL: expected one Redis server, got a node of a Redis Cluster ({error}): the "
            "buckets of one request could lie on different nodes. Name a server of its own, or a primary with replicas"
        ) from error
    except (RedisError, OSError):
        pass  # the pods count on their own until it answers
