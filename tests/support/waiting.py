"""Waiting for what can only be seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], *, within: float = 20.0
) -> None:
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def metric(url: str, name: str) -> float:
    """The sum of the rows of `/metrics` that begin with `name`."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(url.removesuffix("/").removesuffix("/v1") + "/metrics")).text
    return sum(float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(name))
