"""spawn_join with a scripted engine: what runs side by side, what is joined, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import pytest

from braid.engine import InvalidParamsError
from braid.engine.scripted import ScriptedEngine
from braid.reasoning import MethodRun, ThreadCall, ThreadResult, TokenSpan, get_method, spawn_join


class Listed:
    """Threads as `FORK a , b JOIN`. A thread reads `go a`. It fails if it writes `nothing`."""

    spawn = " FORK"
    close = " JOIN"

    def __init__(self, start: Literal["fresh", "forked"] = "fresh") -> None:
        self.start: Literal["fresh", "forked"] = start

    def calls(self, problem: str, block: str) -> Sequence[ThreadCall]:
        if "bad" in block:
            raise ValueError(f"cannot read {block!r}")
        return [ThreadCall(name=word, prompt=f" go {word}") for word in block.replace(",", " ").split()]

    def join(self, results: Sequence[ThreadResult]) -> str:
        found = [f"{r.call.name} : {r.text.strip()}" for r in results if "nothing" not in r.text]
        return f" FOUND {' , '.join(found)} DONE"


def script(prompt: str) -> str:
    if prompt.endswith("go a"):
        return " nothing at all here"
    if prompt.endswith("go b"):
        return " seven"
    if prompt.endswith("DONE"):
        return " answer : 7"
    if prompt.endswith("FORK"):
        return " a , b JOIN"
    return " let us see FORK a , b JOIN"


async def test_the_join_takes_the_place_of_the_list() -> None:
    engine = ScriptedEngine(script)
    async with await engine.prefill("What is it ?") as problem:
        solution = await spawn_join(MethodRun(engine=engine), problem, threads=Listed(), window=64)
    assert solution.answer == "7"
    assert solution.threads == 2
    assert [call.prompt for call in engine.calls] == [
        "What is it ?",
        "What is it ? let us see FORK",
        " go a",
        " go b",
        "What is it ? let us see FOUND b : seven DONE",
    ]
    assert engine.open_contexts() == 0


async def test_what_it_is_said_to_cost() -> None:
    engine = ScriptedEngine(script)
    async with await engine.prefill("What is it ?") as problem:
        assert problem.token_count == 4
        solution = await spawn_join(MethodRun(engine=engine), problem, threads=Listed(), window=64)
    # "let us see" (the spawn mark ends it), "a , b", threads of 2 + 4 and 2 + 1 tokens, and the joined text.
    lengths = {(span.start, span.end) for span in solution.spans}
    assert lengths >= {(0, 6), (0, 3)}
    parent = [span for span in solution.spans if span.start]
    assert parent[0].start == 4
    assert parent[1].start == parent[2].start == 7
    assert solution.longest_sequence == max(span.end for span in solution.spans) == 15
    usage = solution.usage
    assert usage.critical_path_tokens == usage.generated_tokens - 1  # the shorter thread is off the path
    assert usage.calls == 5


async def test_threads_run_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def meeting(prompt: str) -> AsyncIterator[str]:
        if prompt.startswith(" go"):
            await asyncio.wait_for(both.wait(), 5)
        yield script(prompt)

    engine = ScriptedEngine(meeting)
    async with await engine.prefill("What is it ?") as problem:
        solution = await spawn_join(MethodRun(engine=engine), problem, threads=Listed(), window=64)
    assert solution.answer == "7"


async def test_forked_threads_read_the_parent() -> None:
    engine = ScriptedEngine(lambda prompt: script(prompt))
    async with await engine.prefill("What is it ?") as problem:
        solution = await spawn_join(MethodRun(engine=engine), problem, threads=Listed("forked"), window=64)
    assert solution.answer == "7"
    assert engine.calls[2].prompt == "What is it ? let us see FORK a , b JOIN go a"
    assert engine.open_contexts() == 0
    assert TokenSpan(12, 18) in solution.spans


async def test_without_a_spawn_mark_the_text_is_the_answer() -> None:
    engine = ScriptedEngine(" answer : 3")
    async with await engine.prefill("What is it ?") as problem:
        solution = await get_method("spawn_join")(MethodRun(engine=engine), problem, threads=Listed())
    assert (solution.answer, solution.usage.calls) == ("3", 1)


@pytest.mark.parametrize(
    ("responses", "window", "reason"),
    [
        ([" x FORK", " bad JOIN"], 64, "cannot be read"),
        ([" x FORK", " a , b , c , d , e , f"], 10, "has no end"),
        ([" x FORK", " a JOIN", " one", " x FORK", " a JOIN", " one", " x FORK"], 64, "after 2 joins"),
        ([" x FORK", " a JOIN", " one two three four five six"], 8, "is full"),
    ],
)
async def test_a_run_that_goes_nowhere_says_why(responses: list[str], window: int, reason: str) -> None:
    engine = ScriptedEngine([*responses])
    async with await engine.prefill("What is it ?") as problem:
        solution = await spawn_join(
            MethodRun(engine=engine), problem, threads=Listed(), window=window, max_rounds=2
        )
    assert solution.answer == ""
    assert reason in solution.reason
    assert engine.open_contexts() == 0


async def test_a_cancelled_run_leaves_nothing_open() -> None:
    waiting = asyncio.Event()

    async def stuck(prompt: str) -> AsyncIterator[str]:
        if prompt.startswith(" go"):
            waiting.set()
            await asyncio.sleep(3600)
        yield script(prompt)

    engine = ScriptedEngine(stuck)
    async with await engine.prefill("What is it ?") as problem:
        task = asyncio.create_task(spawn_join(MethodRun(engine=engine), problem, threads=Listed()))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert engine.open_contexts() == 0


async def test_options_are_checked() -> None:
    engine = ScriptedEngine("x")
    async with await engine.prefill("What is it ?") as problem:
        with pytest.raises(InvalidParamsError, match="needs threads="):
            await spawn_join(MethodRun(engine=engine), problem)
        with pytest.raises(InvalidParamsError, match="takes no option 'depth'"):
            await spawn_join(MethodRun(engine=engine), problem, threads=Listed(), depth=3)
