"""The answer of a run as text, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import Limits, tool
from braid.orchestrator import Agent, RunStream


async def pieces_of(run: RunStream) -> list[str]:
    async with run:
        return [piece async for piece in run.text()]


async def test_a_direct_answer_comes_as_it_is_written() -> None:
    engine = ScriptedEngine("\n The sea,\n\nwide and blue. \n", chunk=3)
    run = Agent(engine, tools=[]).stream("Write a poem about the sea.")
    pieces = await pieces_of(run)
    assert len(pieces) > 4 and "".join(pieces) == run.result.answer == "The sea,\n\nwide and blue."


@pytest.mark.parametrize("how", ["answer(a)", 'answer(f"{a}")', "answer(a.answer)", 'answer(f"{a.answer}")'])
@pytest.mark.parametrize("thought", ["It is K2", "First this.\nThen that.\nSo \\boxed{K2}", "K2."])
async def test_a_thought_that_is_the_answer_comes_as_it_is_written(how: str, thought: str) -> None:
    begun = asyncio.Event()

    async def think(prompt: str) -> AsyncIterator[str]:
        for char in thought:
            yield char
            await begun.wait()

    def model(prompt: str) -> Any:
        return f'a = think("x")\n{how}\n' if "Write the plan" in prompt else think(prompt)

    run = Agent(ScriptedEngine(model, chunk=1), tools=[], shortcuts=False).stream("?")
    pieces: list[str] = []
    async with asyncio.timeout(30), run:
        async for piece in run.text():
            pieces.append(piece)
            begun.set()  # the thought goes on only when its first piece was yielded
    assert len(pieces) > 1 and "".join(pieces) == thought
    assert run.result.answer.rstrip(".") in thought


@tool
def height(name: str) -> int:
    """Height in metres."""
    return {"K2": 8611}[name]


@pytest.mark.parametrize(
    ("plan", "answer"),
    [
        ('a = height("K2")\nanswer(f"{a} m")\n', "8611 m"),
        ('a = think("x")\nanswer(f"It is {a}.")\n', "It is yes."),
        ('a = think("x")\nb = height("K2")\nanswer(a, b)\n', "yes, 8611"),
        ('a = think("x", n=3)\nanswer(a)\n', "yes"),
        ('decline("nobody knows")\n', "nobody knows"),
    ],
)
async def test_any_other_answer_comes_at_the_end(plan: str, answer: str) -> None:
    run = Agent(ScriptedEngine([plan, "yes"]), tools=[height], shortcuts=False).stream("?")
    assert await pieces_of(run) == [answer] and run.result.answer == answer


@pytest.mark.parametrize("second", ['b = height("K2")\nanswer(f"{b} m")\n', 'b = think("y")\nanswer(b)\n'])
async def test_an_answer_in_the_place_of_one_that_was_begun_follows_it(second: str) -> None:
    async def stuck(prompt: str) -> AsyncIterator[str]:
        yield "blue "
        await asyncio.Event().wait()

    engine = ScriptedEngine(['a = think("x")\nanswer(a)\n', stuck, second, "8611 m"])
    agent = Agent(engine, tools=[height], shortcuts=False, limits=Limits(node_timeout=0.5))
    run = agent.stream("How tall is K2?")
    pieces = await pieces_of(run)
    assert (run.result.rounds, run.result.answer) == (2, "8611 m")
    assert "".join(pieces) == "blue\n\n8611 m"


async def test_a_budget_ends_the_pieces_with_what_there_is() -> None:
    engine = ScriptedEngine("one two three four", delay=0.2)
    run = Agent(engine, tools=[]).stream("Write a poem about the sea.", budget=Budget(seconds=0.5))
    pieces = await pieces_of(run)
    assert "".join(pieces) == run.result.answer and run.result.stopped == "budget"


async def test_leaving_the_pieces_ends_the_run() -> None:
    engine = ScriptedEngine("one two three four", delay=0.05)
    run = Agent(engine, tools=[]).stream("Write a poem about the sea.")
    async with run:
        async for _ in run.text():
            break
    assert engine.open_contexts() == 0
    with pytest.raises(RuntimeError, match="read once"):
        aiter(run)


async def test_what_the_run_raises_is_raised() -> None:
    engine = ScriptedEngine([ValueError("broken")])
    with pytest.raises(ValueError, match="broken"):
        await pieces_of(Agent(engine, tools=[]).stream("Write a poem about the sea."))
