"""Whole streams in the form of single servers: the text, thoughts, calls and counts that are read from them.

`streams/` has one for each server, with all fields that it sends, in its order and with its nulls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from braid.engine import CapabilityError, EngineResponseError, SamplingParams
from braid.engine.remote import RemoteEngine, ToolDeclaration
from tests.support.fault_server import Call, FaultServer, in_pieces, refuses, says
from tests.support.remote_engine import DRAW, NO_REPLY, USAGE, chat, delta, drawn, opened, sends

STREAMS = Path(__file__).parent / "streams"
K2_AND_MAKALU = [("height", {"of": "K2"}), ("height", {"of": "Makalu"})]
HEIGHT = ToolDeclaration(
    name="height",
    description="Height of a mountain",
    parameters={"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"]},
)


@pytest.mark.parametrize("size", [11, 100_000])
@pytest.mark.parametrize(
    ("server", "text", "thoughts", "calls", "counts"),
    [
        ("openai", "", "", K2_AND_MAKALU, (61, 0, 110, 64)),
        ("vllm", "\n\n", "Two heights.", K2_AND_MAKALU, (171, 0, 49, 0)),
        ("sglang", "", "Two heights.", K2_AND_MAKALU, (160, 128, 44, 7)),
        ("llamacpp", "", "Two heights.", K2_AND_MAKALU, (150, 0, 40, 0)),
        ("deepseek", "8611 m", "K2 is 8611 m.", [], (14, 8, 12, 8)),
        ("openrouter", "8611 m", "K2 is 8611 m.", [], (14, 0, 12, 8)),
    ],
)
async def test_all_that_a_server_sends_is_read(
    faults: FaultServer,
    server: str,
    text: str,
    thoughts: str,
    calls: list[tuple[str, dict[str, str]]],
    counts: tuple[int, int, int, int],
    size: int,
) -> None:
    completion = await drawn(faults, *in_pieces((STREAMS / f"{server}.sse").read_bytes(), size))
    assert (completion.text, completion.reasoning, completion.finish_reason) == (text, thoughts, "stop")
    assert [(call.name, json.loads(call.arguments)) for call in completion.tool_calls] == calls
    assert len({call.id for call in completion.tool_calls} - {""}) == len(calls)
    used = completion.usage
    assert (
        used.prompt_tokens,
        used.cached_tokens,
        used.generated_tokens,
        used.reasoning_tokens,
    ) == counts
    assert used.critical_path_tokens == counts[2] and used.calls == 1


async def test_thoughts_that_are_counted_beside_the_completion_are_generated_too(faults: FaultServer) -> None:
    """Those of xAI: it leaves them out of `completion_tokens`, and has them in `total_tokens`."""
    used = {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135}
    details = {"completion_tokens_details": {"reasoning_tokens": 94}}
    completion = await drawn(faults, chat("hi", "stop"), {"choices": [], "usage": used | details})
    assert (completion.usage.generated_tokens, completion.usage.reasoning_tokens) == (103, 94)


async def test_thoughts_of_several_branches_are_shared_out(faults: FaultServer) -> None:
    said = [{"index": 0, "message": {"content": "a", "reasoning": "long long"}, "finish_reason": "stop"}]
    said += [{"index": 1, "message": {"content": "b", "reasoning": "so"}, "finish_reason": "stop"}]
    used = {"prompt_tokens": 5, "completion_tokens": 30, "reasoning_tokens": 11}

    async def handler(call: Call) -> None:
        await call.json({"choices": said, "usage": used})

    faults.answer = handler
    async with (
        await opened(faults) as engine,
        await engine.prefill([{"role": "user", "content": "hi"}]) as context,
    ):
        branches = await engine.generate(context, SamplingParams(n=2, temperature=1.0))
        for branch in branches:
            branch.context.release()
    assert [branch.usage.reasoning_tokens for branch in branches] == [9, 2]
    assert sum(branch.usage.generated_tokens for branch in branches) == 30


def called(name: str, arguments: object, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}} | more


@pytest.mark.parametrize(
    "events",
    [
        # Gemini numbers all calls alike.
        [delta(tool_calls=[called(name, "{}", index=0, id=name)]) for name in ("get", "put")],
        # The name again in each part.
        [
            delta(tool_calls=[called("get", "{", index=0, id="a"), called("put", "{}", index=1, id="b")]),
            delta(tool_calls=[called("get", "}", index=0, id="a")]),
        ],
        # The whole message behind its parts (MiniMax).
        [
            delta(tool_calls=[called("get", "{}", index=0, id="a")]),
            {
                "choices": [
                    NO_REPLY | {"message": {"tool_calls": [called(name, "{}") for name in ("get", "put")]}}
                ]
            },
        ],
        # A call without its list, and what is none.
        [delta(tool_calls=called("get", {}, id="a")), delta(tool_calls=["?", called("put", {}, id="b")])],
    ],
)
async def test_calls_in_odd_forms(faults: FaultServer, events: list[dict[str, Any]]) -> None:
    completion = await drawn(faults, *events, chat(finish="tool_calls"))
    assert [(call.name, call.arguments) for call in completion.tool_calls] == [("get", "{}"), ("put", "{}")]


@pytest.mark.parametrize("choice", ["auto", "required"])
async def test_tools_are_sent_and_stay_with_the_context(faults: FaultServer, choice: Any) -> None:
    faults.answer = sends((STREAMS / "openai.sse").read_bytes())
    messages: Any = [{"role": "user", "content": "How tall are K2 and Makalu?"}]
    async with (
        await opened(faults) as engine,
        await engine.prefill(messages) as bare,
        await engine.prefill_with_tools(messages, [HEIGHT], choice=choice) as context,
    ):
        assert context.token_count > bare.token_count
        async with await engine.extend(context, "They") as begun:
            for each in (context, begun):
                [completion] = await engine.generate(each, DRAW)
                completion.context.release()
                assert [call.name for call in completion.tool_calls] == ["height", "height"]
        assert engine.open_contexts() == 2
    for call in faults.calls:
        [tool] = call.body["tools"]
        assert tool["type"] == "function" and tool["function"] == {
            "name": "height",
            "description": "Height of a mountain",
            "parameters": HEIGHT.parameters,
        }
        assert call.body.get("tool_choice", "auto") == choice


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (500, "tools param requires --jinja flag"),
        (404, "No endpoints found that support tool use."),
    ],
)
async def test_tools_that_a_server_refuses_leave_the_capabilities(
    faults: FaultServer, status: int, message: str
) -> None:
    faults.answer = refuses(status, {"error": {"message": message}})
    messages: Any = [{"role": "user", "content": "hi"}]
    async with await opened(faults) as engine:
        async with await engine.prefill_with_tools(messages, [HEIGHT]) as context:
            with pytest.raises(CapabilityError, match="tool"):
                await engine.generate(context, DRAW)
        with pytest.raises(CapabilityError, match="tool_calls"):
            await engine.prefill_with_tools(messages, [HEIGHT])
        faults.answer = says("hello", usage=USAGE)
        async with await engine.prefill(messages) as context:
            [completion] = await engine.generate(context, DRAW)
            completion.context.release()
        assert completion.text == "hello"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"owned_by": "vllm"}, True),
        ({"owned_by": "braid", "capabilities": ["grammar"]}, False),
        ({"supported_parameters": ["tools", "tool_choice", "seed"]}, True),
        ({"supported_parameters": ["seed"]}, False),
    ],
)
async def test_what_a_server_says_about_tools_counts(
    faults: FaultServer, model: dict[str, Any], expected: bool
) -> None:
    faults.models = [model | {"id": "m"}]
    async with await RemoteEngine.open(faults.address, api_key_env=None) as engine:
        assert ("tool_calls" in engine.capabilities) is expected


async def test_a_declaration_that_a_server_refuses_leaves_the_capability(faults: FaultServer) -> None:
    faults.answer = refuses(400, {"error": {"message": "Invalid 'tools[0].function.name': 'a b'"}})
    messages: Any = [{"role": "user", "content": "hi"}]
    async with (
        await opened(faults) as engine,
        await engine.prefill_with_tools(messages, [ToolDeclaration(name="a b")]) as context,
    ):
        with pytest.raises(EngineResponseError, match=r"function\.name"):
            await engine.generate(context, DRAW)
        assert "tool_calls" in engine.capabilities
