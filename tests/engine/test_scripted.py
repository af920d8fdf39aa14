"""The scripted engine as users' tests see it, and its conformance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from braid.engine import (
    Budget,
    BudgetExceededError,
    CapabilityError,
    Engine,
    EngineConnectionError,
    InvalidParamsError,
    SamplingParams,
)
from braid.engine.conformance import EngineConformance
from braid.engine.scripted import ScriptedEngine, ScriptExhaustedError

PARAMS = SamplingParams()


async def say(engine: ScriptedEngine, prompt: str = "hello", params: SamplingParams = PARAMS) -> list[str]:
    async with await engine.prefill(prompt) as context:
        completions = await engine.generate(context, params)
    for completion in completions:
        completion.context.release()
    return [completion.text for completion in completions]


async def test_one_response_answers_every_call():
    engine = ScriptedEngine("yes")
    assert await say(engine) == await say(engine) == ["yes"]


async def test_a_list_answers_call_by_call_and_says_when_it_is_used_up():
    engine = ScriptedEngine(["one", "two"])
    assert [await say(engine), await say(engine)] == [["one"], ["two"]]
    with pytest.raises(ScriptExhaustedError, match="2 responses"):
        await say(engine)


async def test_functions_see_the_prompt():
    async def later(prompt: str) -> str:
        await asyncio.sleep(0)
        return prompt.upper()

    engine = ScriptedEngine([lambda prompt: prompt[::-1], later])
    assert [await say(engine, "abc"), await say(engine, "abc")] == [["cba"], ["ABC"]]


async def test_branches_have_their_own_texts():
    engine = ScriptedEngine([["a", "b"]])
    assert await say(engine, params=SamplingParams(n=3)) == ["a", "b", "a"]


async def test_errors_are_raised_where_the_script_has_them():
    async def breaks(prompt: str) -> AsyncIterator[str]:
        yield "half "
        raise EngineConnectionError("gone")

    engine = ScriptedEngine([EngineConnectionError("down"), breaks, "fine"])
    with pytest.raises(EngineConnectionError, match="down"):
        await say(engine)
    async with await engine.prefill("x") as context:
        got = ""
        with pytest.raises(EngineConnectionError, match="gone"):
            async for token in engine.stream(context, PARAMS):
                got += token.text
        assert got == "half "
    assert await say(engine) == ["fine"]
    assert engine.open_contexts() == 0


async def test_a_generator_holds_the_stream_between_two_lines():
    gate, first = asyncio.Event(), asyncio.Event()

    async def plan(prompt: str) -> AsyncIterator[str]:
        yield 'a = search("x")\n'
        await gate.wait()
        yield "answer(a)"

    engine = ScriptedEngine(plan, chunk="char")
    got: list[str] = []

    async def read() -> None:
        async with await engine.prefill("x") as context:
            async for token in engine.stream(context, PARAMS):
                got.append(token.text)
                if token.text == "\n":
                    first.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        await first.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        assert "".join(got) == 'a = search("x")\n'
        gate.set()
    assert "".join(got) == 'a = search("x")\nanswer(a)'


@pytest.mark.parametrize(
    ("chunk", "pieces"),
    [("char", ["a", " ", "b", "c"]), ("word", ["a", " bc"]), ("whole", ["a bc"]), (3, ["a b", "c"])],
)
async def test_chunks(chunk, pieces):
    engine = ScriptedEngine("a bc", chunk=chunk)
    async with await engine.prefill("x") as context:
        tokens = [token async for token in engine.stream(context, PARAMS)]
    assert [token.text for token in tokens] == [*pieces, ""]
    assert tokens[-1].finish_reason == "stop"


async def test_calls_are_recorded():
    engine = ScriptedEngine("ok")
    messages = [{"role": "user", "content": "hi"}]
    async with await engine.prefill(messages) as context:
        _ = [token async for token in engine.stream(context, SamplingParams(max_tokens=5))]
    [call] = engine.calls
    assert call.kind == "stream" and call.messages == tuple(messages) and call.params.max_tokens == 5
    assert call.prompt == "User: hi\n\nAssistant:" == engine.prefills[0]


async def test_budget_and_limits_hold():
    engine = ScriptedEngine("one two three four", max_context=8)
    async with await engine.prefill("x") as context:
        scope = Budget(tokens=2)
        [completion] = await engine.generate(context, SamplingParams(max_tokens=2), budget=scope)
        completion.context.release()
        assert completion.text == "one two" and completion.finish_reason == "length"
        with pytest.raises(BudgetExceededError):
            await engine.generate(context, SamplingParams(max_tokens=2), budget=scope)


async def test_capabilities_can_be_taken_away_but_not_made_up():
    engine = ScriptedEngine("x", capabilities={"chat"})
    async with await engine.prefill("x") as context:
        with pytest.raises(CapabilityError, match="logprobs"):
            await engine.generate(context, SamplingParams(logprobs=1))
    with pytest.raises(InvalidParamsError, match="kv_join"):
        ScriptedEngine("x", capabilities={"kv_join"})


async def test_details_reach_the_planner():
    assert ScriptedEngine("x", details={"prompt_style": "compact"}).info.details["prompt_style"] == "compact"


TEXT = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


async def pieces(prompt: str) -> AsyncIterator[str]:
    for start in range(0, len(TEXT), 5):
        yield TEXT[start : start + 5]


class TestScriptedEngine(EngineConformance):
    @pytest.fixture(
        params=[
            {"responses": TEXT},
            {"responses": TEXT, "chunk": "char", "delay": 0.001},
            {"responses": TEXT, "chunk": "whole"},
            {"responses": pieces, "chunk": 3, "max_context": 1000},
            {"responses": lambda prompt: TEXT, "capabilities": ()},
            {"responses": TEXT, "scorer": lambda context, text: [0.0]},
        ],
        ids=["words", "characters", "whole", "generator", "bare", "scorer"],
    )
    async def engine(self, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
        async with ScriptedEngine(**request.param) as engine:
            yield engine
            assert engine.open_contexts() == 0
