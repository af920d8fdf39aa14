"""Tokens that a grammar forces: planning with and without them, alternating.

    python benchmarks/forced_tokens.py [MODEL] [QUESTIONS]

The default is braid-mini with one thread, on 30 questions of the planning set. Printed are plans that differ,
steps, and seconds of CPU time, which other work on the machine disturbs least.
"""

from __future__ import annotations

import asyncio
import sys
import time

from braid.engine.local import LocalEngine
from braid.evals.tasks.planning_data import frozen_tools, questions
from braid.planner import LLMPlanner, PlannerFinished, PlanningError, PlanTask


async def plan(engine: LocalEngine, question: str) -> str:
    """The text of the first plan for a question."""
    planner = LLMPlanner(engine, max_repairs=0, max_tokens=200)
    text = ""
    try:
        async for event in planner.plan(PlanTask(question=question, tools=[t.spec for t in frozen_tools()])):
            if isinstance(event, PlannerFinished):
                text = event.text
    except PlanningError as error:
        text = error.text
    return text


async def main(model: str, count: int) -> None:
    """Plan each question on both engines, the first one in turns."""
    async with (
        await LocalEngine.load(model, threads=1) as forcing,
        await LocalEngine.load(model, threads=1, row_tokens=1) as plain,
    ):
        seconds = {forcing: 0.0, plain: 0.0}
        different = 0
        for number, row in enumerate(questions("heldout", seed=0)[:count]):
            texts: dict[LocalEngine, str] = {}
            for engine in (forcing, plain) if number % 2 else (plain, forcing):
                began = time.process_time()
                texts[engine] = await plan(engine, row.question)
                seconds[engine] += time.process_time() - began
            different += texts[forcing] != texts[plain]
        ours, theirs = forcing.stats(), plain.stats()
        print(f"{model}: {count} questions, {different} plans differ, {ours.forced} tokens forced")
        print(f"steps    {ours.steps} of {theirs.steps}: {theirs.steps / ours.steps:.2f} times fewer")
        print(f"CPU time {seconds[forcing]:.1f} s of {seconds[plain]:.1f} s, ratio", end=" ")
        print(f"{seconds[plain] / seconds[forcing]:.2f}")


if __name__ == "__main__":
    asyncio.run(main((sys.argv[1:] or ["braid-mini"])[0], int((sys.argv[2:] or ["30"])[0])))
