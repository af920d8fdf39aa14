"""Small tools that many plans of the tests call."""

from __future__ import annotations

import asyncio
from typing import Any

from braid.executors import tool


@tool
async def same(x: Any) -> Any:
    return x


@tool
async def add(a: int, b: int) -> int:
    return a + b


@tool
async def pause(x: Any, seconds: float = 0.01) -> Any:
    await asyncio.sleep(seconds)
    return x


@tool
async def broken(x: Any = None) -> Any:
    raise ValueError(f"cannot do {x}")


@tool
async def numbers(n: int) -> list[int]:
    return list(range(n))


@tool
async def forever(x: Any = None) -> Any:
    await asyncio.Event().wait()


TOOLS = [same, add, pause, broken, numbers, forever]
