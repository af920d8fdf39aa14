"""Runs that are interrupted at a chosen moment, to be resumed by another agent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from braid.engine.scripted import Response, ScriptedEngine
from braid.executors import ToolContext, tool
from braid.orchestrator import Agent
from braid.planner import PlannerFinished

PLAN = """\
xs = [double(i) for i in [1, 2, 3]]
s = total(xs)
if s > 5:
    m = note(s)
else:
    m = note(0)
answer(m, xs)
"""


class Toolbox:
    """Tools that record their calls. The one named `hang` hangs until it is let go."""

    def __init__(self, *, hang: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.hang = hang
        self.hanging = asyncio.Event()
        self.let_go = asyncio.Event()
        box = self

        async def called(name: str, given: Any) -> None:
            box.calls.append((name, given))
            if name == box.hang:
                box.hanging.set()
                await box.let_go.wait()

        @tool
        async def double(x: int) -> int:
            await called("double", x)
            return 2 * x

        @tool
        async def total(xs: list[int]) -> int:
            await called("total", tuple(xs))
            return sum(xs)

        @tool(effect="mutating")
        async def note(context: ToolContext, x: int) -> str:
            await called("note", x)
            return f"noted {x}"

        @tool
        async def broken(x: int) -> int:
            await called("broken", x)
            raise ValueError("never works")

        self.tools = [double, total, note, broken]


async def yes(_: object) -> bool:
    """Approves everything."""
    return True


def agent_of(file: Path, box: Toolbox, plan: Response | Sequence[Response] = PLAN, **options: Any) -> Agent:
    """An agent with the tools of `box` and a journal in `file`. Its model writes `plan`."""
    engine = plan if isinstance(plan, ScriptedEngine) else ScriptedEngine(plan, chunk="whole")
    return Agent(
        engine, tools=box.tools, builtins=False, journal=file, **{"approve": yes, "max_rounds": 1, **options}
    )


async def interrupted(agent: Agent, hanging: asyncio.Event, *, plans: int = 1, **options: Any) -> str:
    """Start a run, cancel it once so many plans are written and a tool hangs, and give its id."""
    async with agent.stream("go", **options) as events:
        async for envelope in events:
            plans -= isinstance(envelope.event, PlannerFinished)
            if plans == 0:
                await hanging.wait()
                break
    assert agent.journal is not None
    id = agent.journal.find("last").id
    await agent.close()
    return id
