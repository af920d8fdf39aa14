"""Models on servers that call tools, or think, where a plan or an answer in words is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from braid.engine import EngineResponseError
from braid.executors import tool
from braid.orchestrator import Agent, RunResult
from braid.planner import PlannerRejected
from braid.planner.dialects import called_statement
from braid.reasoning import MethodRun, get_method
from tests.support.fault_server import FaultServer, Handler, says
from tests.support.remote_engine import USAGE, chat, delta, opened, sends


@pytest.fixture
async def faults() -> AsyncIterator[FaultServer]:
    async with FaultServer(answer=calls(("height", "{}"))) as server:
        yield server


@tool
async def height(of: str, unit: str = "m") -> int:
    """Height of a mountain."""
    return {"K2": 8611, "Makalu": 8485}[of]


def calls(*made: tuple[str, str], text: str = "") -> Handler:
    parts = [
        {"index": number, "id": f"c{number}", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(made)
    ]
    usage = {"choices": [], "usage": USAGE | {"completion_tokens_details": {"reasoning_tokens": 1}}}
    return sends(
        delta(content=text or "\n\n", reasoning="hm"),
        delta(tool_calls=parts),
        chat(finish="tool_calls"),
        usage,
    )


async def asked(*script: Handler, tools: Any = (height,)) -> tuple[RunResult, list[dict[str, Any]]]:
    async with (
        FaultServer(script=list(script), answer=says('answer("nothing")\n')) as server,
        Agent(f"openai:{server.address}", tools=list(tools), max_rounds=3) as agent,
    ):
        result = await agent.run("How tall are K2 and Makalu?")
        return result, [call.body for call in server.calls]


async def test_calls_instead_of_a_plan_are_statements_of_it() -> None:
    result, sent = await asked(
        calls(("height", '{"of": "K2"}'), ("height", '{"of": "Makalu", "unit": "m"}')),
        says('answer(f"{call1} and {call2} m")\n'),
    )
    assert (result.answer, result.status) == ("8611 and 8485 m", "answered")
    assert 'call1 = height(of="K2")' in result.plan
    assert 'call1 = height(of="K2")  # 8611' in sent[1]["messages"][-1]["content"]
    assert len(sent) == 2
    assert result.usage.reasoning_tokens == 1
    assert result.to_dict()["status"] == "answered"


async def test_a_call_behind_statements_goes_on_with_them() -> None:
    result, sent = await asked(
        calls(("answer", '{"value": 1}'), text="a = 1\n"),
        calls(("height", '{"of": "Makalu"}'), text='a = height("K2")'),
        says("answer(a, call1)\n"),
    )
    assert result.answer == "8611, 8485"
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("depth", '{"of": "K2"}', "depth"),
        ("height", '{"of": "K2"', "height"),
        ("height", '{"above": "K2"}', "above"),
        ("functions.height", "{}", "functions"),
    ],
)
async def test_a_call_that_cannot_be_made_is_told_to_the_model(name: str, arguments: str, said: str) -> None:
    result, sent = await asked(calls((name, arguments)), says('answer(height("K2"))\n'))
    assert result.answer == "8611"
    rejected = [envelope.event for envelope in result.events if isinstance(envelope.event, PlannerRejected)]
    assert len(rejected) == 1
    assert said in sent[1]["messages"][-1]["content"]


async def test_a_call_that_was_made_before_is_not_made_again() -> None:
    result, _ = await asked(
        calls(("height", '{"of": "K2"}'), ("nope", "{}")),
        calls(("height", '{"of": "K2"}')),
        says("answer(call1)\n"),
    )
    assert result.answer == "8611"
    assert result.plan.count("height(") == 1


async def test_thoughts_without_a_plan_say_that_the_limit_came_first() -> None:
    result, sent = await asked(
        sends(delta(reasoning="so much to think about"), chat(finish="length")), says('answer("ok")\n')
    )
    assert result.answer == "ok"
    assert "token limit came before the first statement" in sent[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ('{"a": "x\\"\\n", "b": [1, null, true]}', 'f(a="x\\"\\n", b=[1, None, True])'),
        ("", "f()"),
        ("[1]", "f([1])"),
        ('{"a": ' + "[" * 100_000, 'f({"a": ' + "[" * 100_000 + ")"),
    ],
)
def test_arguments_are_written_as_the_plan_language_has_them(arguments: str, written: str) -> None:
    assert called_statement("f", arguments) == written


@pytest.mark.parametrize("read_along", [True, False])
@pytest.mark.parametrize("method", ["direct", "self_consistency"])
async def test_thinking_that_is_only_a_call_is_an_error(
    faults: FaultServer, method: str, read_along: bool
) -> None:
    async with await opened(faults) as engine:
        run = MethodRun(engine=engine)
        run.on_text = (lambda _: None) if read_along else None
        async with await engine.prefill([{"role": "user", "content": "hi"}]) as problem:
            with pytest.raises(EngineResponseError, match="'height' instead"):
                await get_method(method)(run, problem)
        assert engine.open_contexts() == 0


async def test_a_direct_answer_that_is_only_a_call_fails(faults: FaultServer) -> None:
    async with Agent(f"openai:{faults.address}", tools=[]) as agent:
        with pytest.raises(EngineResponseError, match="'height' instead"):
            await agent.run("Write a poem about the sea.")
    assert len(faults.calls) == 1
