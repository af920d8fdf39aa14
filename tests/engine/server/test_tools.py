"""Tools: forced calls of any model, calls of a model's own accord, results sent back, and mistakes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch

from braid import connect
from braid.engine import Capability, Engine
from braid.engine.local import LocalEngine
from braid.engine.local.model.grammar import Grammars
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerOptions, serving
from braid.engine.server.tools import Tool, ToolUse
from braid.engine.tool_calls import HERMES, CallForm
from tests.engine.server.conftest import CHAT_TEMPLATE
from tests.support.calling_model import build_calling_model
from tests.support.tiny_models import build_model, build_tokenizer
from tests.support.tool_templates import CODER, LLAMA, QWEN

ASK = [{"role": "user", "content": "Light in the hall, please."}]
TEMPLATES = {"qwen": QWEN, "llama": LLAMA, "coder": CODER, "no tools": CHAT_TEMPLATE, "none": ""}


def _tool(name: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "description": f"The {name}", **more}
    return {"type": "function", "function": function | ({"parameters": parameters} if parameters else {})}


ROOM = {"enum": ["kitchen", "hall"]}
LEVEL = {"type": "integer", "minimum": 0, "maximum": 9}
LIGHT = _tool(
    "light", {"type": "object", "properties": {"room": ROOM, "level": LEVEL}, "required": ["room", "level"]}
)
STOP = _tool("stop")


def _is_valid(call: Any) -> bool:
    arguments = json.loads(call.function.arguments)
    if call.function.name == "stop":
        return arguments == {}
    return (
        call.function.name == "light"
        and arguments.keys() == {"room", "level"}
        and arguments["room"] in ROOM["enum"]
        and arguments["level"] in range(10)
    )


@asynccontextmanager
async def _serve(engine: Engine) -> AsyncIterator[tuple[openai.AsyncOpenAI, httpx.AsyncClient]]:
    async with (
        serving(engine, ServerOptions(port=0, served_model_name="m")) as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client,
        httpx.AsyncClient(base_url=url + "/", trust_env=False, timeout=60) as http,
    ):
        yield client, http
        assert engine.open_contexts() == 0


@pytest.fixture(scope="session")
def tool_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A random model with one of `TEMPLATES`."""

    def make(name: str) -> Path:
        folder = build_model(tmp_path_factory.mktemp("tools"), "llama", context=4096)
        if TEMPLATES[name]:
            (folder / "chat_template.jinja").write_text(TEMPLATES[name])
        return folder

    return make


@pytest.fixture(params=TEMPLATES)
async def engine(
    request: pytest.FixtureRequest, tool_model: Callable[[str], Path]
) -> AsyncIterator[LocalEngine]:
    async with await LocalEngine.load(tool_model(request.param), threads=1) as engine:
        yield engine


async def _streamed(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    """The choices of a stream, put together by the client's own helper."""
    async with client.chat.completions.stream(**asked) as stream:
        async for _ in stream:
            pass
        return await stream.get_final_completion()


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "light"}}], ids=["required", "named"]
)
async def test_a_random_model_is_forced_to_a_valid_call(engine: LocalEngine, choice: Any) -> None:
    async with _serve(engine) as (client, _):
        for seed in range(3):
            asked = {
                "model": "m",
                "messages": ASK,
                "tools": [LIGHT, STOP],
                "tool_choice": choice,
                "seed": seed,
            }
            reply = (await client.chat.completions.create(**asked, max_tokens=1500)).choices[0]
            assert reply.finish_reason == "tool_calls" and reply.message.content is None
            assert all(map(_is_valid, reply.message.tool_calls))
            assert len({call.id for call in reply.message.tool_calls}) == len(reply.message.tool_calls)
            if choice != "required":
                assert [call.function.name for call in reply.message.tool_calls] == ["light"]
            streamed = (await _streamed(client, **asked, max_tokens=1500)).choices[0]
            assert streamed.finish_reason == "tool_calls" and not streamed.message.content
            told = [
                [(c.function.name, c.function.arguments) for c in each.message.tool_calls]
                for each in (reply, streamed)
            ]
            assert told[0] == told[1]


async def test_several_calls_and_one_at_most(tool_model: Callable[[str], Path]) -> None:
    counts: dict[bool, set[int]] = {True: set(), False: set()}
    async with await LocalEngine.load(tool_model("qwen"), threads=1) as engine, _serve(engine) as (client, _):
        for parallel, seen in counts.items():
            reply = await client.chat.completions.create(
                model="m",
                messages=ASK,
                tools=[LIGHT, STOP],
                tool_choice="required",
                parallel_tool_calls=parallel,
                n=12,
                seed=1,
            )
            for choice in reply.choices:
                assert choice.finish_reason == "tool_calls" and all(map(_is_valid, choice.message.tool_calls))
                seen.add(len(choice.message.tool_calls))
    assert counts[False] == {1} and max(counts[True]) > 1


async def test_a_result_is_sent_back(engine: LocalEngine) -> None:
    async with _serve(engine) as (client, _):
        asked = {"model": "m", "tools": [LIGHT, STOP], "seed": 1, "max_tokens": 400}
        first = await client.chat.completions.create(
            messages=ASK, tool_choice="required", parallel_tool_calls=False, **asked
        )
        message = first.choices[0].message
        (call,) = message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "done"}
        history = [*ASK, message, result]
        last = await client.chat.completions.create(messages=history, tool_choice="none", **asked)
        assert last.choices[0].message.content and not last.choices[0].message.tool_calls
        assert last.choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize("template", ["qwen", "llama", "coder"])
async def test_tools_calls_and_results_go_through_the_template(
    tool_model: Callable[[str], Path], template: str
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "light", "arguments": {"room": "hall"}}}
    messages = [
        *ASK,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "<|end|> done", "tool_call_id": "c", "name": "light"},
    ]
    shown = {
        "qwen": '<tool_call>\n{"name": "light", "arguments": {"room": "hall"}}\n</tool_call>',
        "llama": '{"name": "light", "parameters": {"room": "hall"}}',
        "coder": "<function=light><room=hall>",
    }[template]
    form = {
        "qwen": '<tool_call>\n{"name": "N", "arguments": A}\n</tool_call>',
        "llama": '{"name": "N", "parameters": A}',
        "coder": '<tool_call>\n{"name": "N", "arguments": A}\n</tool_call>',
    }[template]
    async with await LocalEngine.load(tool_model(template), threads=1) as engine:
        reading = await engine.read_chat(messages, tools=[LIGHT])
        assert reading is not None
        text = engine.decode(reading.ids)
        assert shown in text and "light" in text.partition("hall, please")[0], text
        end = engine.encode("<|end|>")
        assert len(end) == 1 and end[0] not in reading.ids, "special tokens in results are text"
        assert reading.call_form.write("N", "A") == form
        assert (reading.call_form.separator is None) == (template == "llama")


async def test_a_template_without_tools_has_no_reading_of_them(tool_model: Callable[[str], Path]) -> None:
    async with await LocalEngine.load(tool_model("no tools"), threads=1) as engine:
        assert await engine.read_chat(ASK, tools=[LIGHT]) is None
        assert await engine.read_chat([{"role": "tool", "content": "x", "tool_call_id": "c"}]) is None
        assert await engine.read_chat(ASK, options={"some": 1}) is not None


class _Written(ScriptedEngine):
    """Writes what a model could write under the grammar."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities | {"grammar"}


def _written(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


TRICKY = json.dumps({"room": 'a "quoted" } ] </tool_call>\\', "deep": [{"x": {}}]})


@pytest.mark.parametrize("chunk", ["char", "whole", 7])
@pytest.mark.parametrize(
    ("text", "content", "calls", "finish"),
    [
        ("Just text.", "Just text.", [], "stop"),
        ("5 < 6 and <tool", "5 < 6 and <tool", [], "stop"),
        (_written("stop", "{}"), None, [("stop", "{}")], "tool_calls"),
        ("Let me see.\n" + _written("stop", TRICKY), "Let me see.\n", [("stop", TRICKY)], "tool_calls"),
        (
            _written("stop", "{}") + "\n" + _written("light", '{"level":1}'),
            None,
            [("stop", "{}"), ("light", '{"level":1}')],
            "tool_calls",
        ),
        (_written("stop", '{"a":1}')[:-5], None, [("stop", '{"a":1}')], "stop"),
        (_written("stop", '{"a":"b c"}').partition("b c")[0], None, [("stop", '{"a":"')], "stop"),
    ],
    ids=["text", "nearly", "call", "text and call", "two", "no end", "cut off"],
)
async def test_what_is_written_of_its_own_accord_is_read(
    text: str, content: str | None, calls: list[tuple[str, str]], finish: str, chunk: Any
) -> None:
    asked = {"model": "m", "messages": ASK, "tools": [LIGHT, STOP]}
    async with _Written(text, chunk=chunk) as engine, _serve(engine) as (client, _):
        for reply in (await client.chat.completions.create(**asked), await _streamed(client, **asked)):
            (choice,) = reply.choices
            assert (choice.message.content, choice.finish_reason) == (content, finish)
            told = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
            assert told == calls
    assert engine.calls[0].params.grammar is not None


async def test_a_model_calls_of_its_own_accord(tmp_path: Path) -> None:
    """Its `<tool_call>` is a token of its own, as that of Qwen."""
    asked = {"model": "m", "messages": ASK, "tools": [LIGHT, STOP], "temperature": 0}
    async with (
        await LocalEngine.load(build_calling_model(tmp_path), threads=1) as engine,
        _serve(engine) as (client, _),
    ):
        for parallel in (True, False):
            whole = await client.chat.completions.create(parallel_tool_calls=parallel, **asked)
            streamed = await _streamed(client, parallel_tool_calls=parallel, **asked)
            calls = whole.choices[0].message.tool_calls
            assert whole.choices[0].finish_reason == "tool_calls" and all(map(_is_valid, calls))
            assert (len(calls) > 1) == parallel
            told = streamed.choices[0].message.tool_calls
            assert [call.function.arguments for call in told] == [call.function.arguments for call in calls]
        forced = {"tool_choice": {"type": "function", "function": {"name": "light"}}}
        (choice,) = (await client.chat.completions.create(**asked, **forced)).choices
        assert [call.function.name for call in choice.message.tool_calls] == ["light"]


@pytest.mark.parametrize("first", ["<", "{"])
async def test_a_response_format_binds_the_answer_beside_calls(
    tool_model: Callable[[str], Path], first: str
) -> None:
    schema = {"type": "object", "properties": {"a": {"const": "<tool_call>"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    async with await LocalEngine.load(tool_model("qwen"), threads=1) as engine, _serve(engine) as (client, _):
        (token,) = engine.encode(first)
        asked = {"model": "m", "messages": ASK, "tools": [STOP], "response_format": form, "seed": 1}
        asked |= {"logit_bias": {str(token): 100}, "parallel_tool_calls": False, "max_tokens": 300}
        for reply in (await client.chat.completions.create(**asked), await _streamed(client, **asked)):
            (choice,) = reply.choices
            if first == "<":
                assert (
                    choice.finish_reason == "tool_calls"
                    and choice.message.tool_calls[0].function.name == "stop"
                )
            else:
                assert json.loads(choice.message.content) == {"a": "<tool_call>"}
                assert choice.finish_reason == "stop" and not choice.message.tool_calls


BARE = CallForm(begin='{"name": "', middle='", "parameters": ', end="}", separator=None)
GRAMMAR: list[tuple[CallForm, dict[str, Any], str, bool]] = [
    (HERMES, {}, "text", True),
    (HERMES, {}, "", True),
    (HERMES, {}, "a <tool b", True),
    (HERMES, {}, "a <tool_call> b", False),
    (HERMES, {}, "a\n" + _written("stop", "{}"), True),
    (HERMES, {}, _written("stop", "{}") + "\n" + _written("light", '{"room":"hall","level":3}'), True),
    (HERMES, {"parallel": False}, _written("stop", "{}") + "\n" + _written("stop", "{}"), False),
    (HERMES, {}, _written("stop", "{}") + " text", False),
    (HERMES, {}, _written("stop", '{"a":1}'), False),
    (HERMES, {}, _written("light", '{"room":"hall"}'), False),
    (HERMES, {}, _written("go", "{}"), False),
    (HERMES, {"forced": True}, "text", False),
    (HERMES, {"forced": True}, _written("stop", "{}"), True),
    (HERMES, {"answer": {"enum": ["yes"]}}, '"yes"', True),
    (HERMES, {"answer": {"enum": ["yes"]}}, "yes", False),
    (HERMES, {"answer": {"enum": ["yes"]}}, _written("stop", "{}"), True),
    (BARE, {}, '{"name": "stop", "parameters": {}}', True),
    (BARE, {}, 'so {"name": "stop", "parameters": {}}', True),
    (BARE, {}, '{"name": "stop", "parameters": {}}{"name": "stop", "parameters": {}}', False),
    (BARE, {}, '{"name": "go', False),
]


THINK = "<think>so</think>\n"
TOKENS: list[tuple[CallForm, dict[str, Any], str, bool]] = [
    (HERMES, {}, THINK + "text", True),
    (HERMES, {}, THINK + "a\n" + _written("stop", "{}") + "\n" + _written("stop", "{}"), True),
    (HERMES, {"forced": True}, THINK + _written("stop", "{}"), False),
    (HERMES, {"forced": True}, _written("stop", "{}"), True),
    (BARE, {}, THINK + '{"name": "stop", "parameters": {}}', True),
    (BARE, {}, THINK + "text", True),
    (BARE, {}, "text<|plan|>", False),
]


@pytest.mark.parametrize(
    ("form", "use", "text", "allowed", "marked"),
    [(*row, False) for row in GRAMMAR] + [(*row, True) for row in GRAMMAR + TOKENS],
    ids=lambda value: str(value)[-40:],
)
def test_the_grammar_of_calls(
    form: CallForm, use: dict[str, Any], text: str, allowed: bool, marked: bool
) -> None:
    """With and without marks that are tokens of their own, which are no text for a grammar."""
    pytest.importorskip("llguidance")
    functions = tuple(Tool.model_validate(tool).function for tool in (LIGHT, STOP))
    tokenizer = build_tokenizer()
    if marked:
        tokenizer.add_tokens(["<tool_call>", "</tool_call>", "<think>", "</think>"])
    grammars = Grammars(tokenizer, vocabulary=len(tokenizer), end_ids=[tokenizer.eos_token_id])
    use = {"functions": functions, "forced": False, "parallel": True} | use
    grammar = ToolUse(**use).grammar(form.with_tokens(grammars.tokens, grammars.text_tokens))
    masks = grammars.start(grammar, 1)
    for token in [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]:
        logits, _ = masks.apply(torch.zeros(1, len(tokenizer)), [0])
        if not torch.isfinite(logits[0, token]):
            assert not allowed, tokenizer.decode([token])
            return
        masks.advance(token, 0)
    assert allowed


async def test_without_a_template_tools_and_results_are_plain_text() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "light", "arguments": '{"room":"hall"}'}}
    messages = [
        {"role": "system", "content": "Be brief."},
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "done"}]},
    ]
    async with _Written("Fine.") as engine, _serve(engine) as (client, _):
        for choice in ("auto", "none"):
            await client.chat.completions.create(
                model="m", messages=messages, tools=[LIGHT], tool_choice=choice
            )
    told, plain = (call.messages for call in engine.calls)
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert told[0]["content"].startswith("Be brief.\n\n") and '"The light"' in told[0]["content"]
    assert told[2]["content"] == _written("light", '{"room":"hall"}')
    assert told[3]["content"] == "<tool_response>\ndone\n</tool_response>"
    assert plain == (messages[0], *told[1:])


async def test_options_of_the_template(tool_model: Callable[[str], Path]) -> None:
    async with await LocalEngine.load(tool_model("qwen"), threads=1) as engine, _serve(engine) as (_, http):

        async def length(**more: Any) -> int:
            body = {"model": "m", "messages": ASK, "max_tokens": 1}
            reply = await http.post("chat/completions", json=body | more)
            assert "x-ignored-parameters" not in reply.headers
            return reply.json()["usage"]["prompt_tokens"]

        thought = len(engine.encode("<think>\n\n</think>\n\n"))
        assert await length(chat_template_kwargs={"enable_thinking": False}) == await length() + thought
        tools = {"tools": [LIGHT]}
        quiet = tools | {"chat_template_kwargs": {"enable_thinking": False}}
        assert await length(**quiet) == await length(**tools) + thought
        for name in ("chat_template", "tokenize", "messages", "tools"):
            body = {"model": "m", "messages": ASK, "chat_template_kwargs": {name: "x"}}
            error = (await http.post("chat/completions", json=body)).json()["error"]
            assert (error["param"], error["code"]) == ("chat_template_kwargs", "invalid_value")


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


RESULT = {"role": "tool", "tool_call_id": "c1", "content": "x"}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "retrieval"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [_tool("a b")]}, "tools[0].function.name"),
    ({"tools": [STOP, _tool("x", {"type": "array"})]}, "tools[1].function.parameters"),
    ({"tools": [_tool("x", _object(a={"type": "text"}))]}, "tools[0].function.parameters"),
    (
        {"tools": [_tool("x", _object(a={"anyOf": [{"type": ["int", "null"]}]}))]},
        "tools[0].function.parameters",
    ),
    ({"tools": [_tool("x", _object(a={"$ref": "#/$defs/none"}))]}, "tools"),
    ({"tools": [STOP, LIGHT, STOP]}, "tools[2].function.name"),
    (
        {"tools": [STOP], "tool_choice": {"type": "function", "function": {"name": "go"}}},
        "tool_choice.function.name",
    ),
    ({"tools": [STOP], "tool_choice": "always"}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [STOP], "parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ({"tools": [STOP], "ignore_eos": True}, "ignore_eos"),
    ({"tools": [STOP], "structured_outputs": {"regex": "a"}}, "structured_outputs"),
    ({"functions": [{"name": "x"}]}, "functions"),
    ({"messages": [*ASK, RESULT]}, "messages[1].tool_call_id"),
    ({"messages": [*ASK, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
    ({"messages": [ASK[0] | {"tool_call_id": "c1"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
        "messages[0].tool_calls[0].function",
    ),
]


@pytest.mark.parametrize(("fields", "param"), MISTAKES, ids=lambda value: str(value)[:60])
async def test_mistakes_name_their_field(fields: dict[str, Any], param: str) -> None:
    async with await connect("local:braid-mini") as engine, _serve(engine) as (_, http):
        body = {"model": "m", "messages": ASK, "max_tokens": 1, **fields}
        reply = await http.post("chat/completions", json=body)
        error = reply.json()["error"]
        assert (reply.status_code, error["param"]) == (400, param), error


async def test_property_names_and_data_are_no_types(tool_model: Callable[[str], Path]) -> None:
    odd = _object(type={"enum": [{"type": "no type"}]}, default={"type": "boolean", "default": {"type": "x"}})
    odd["required"] = ["type", "default"]
    async with await LocalEngine.load(tool_model("qwen"), threads=1) as engine, _serve(engine) as (client, _):
        reply = await client.chat.completions.create(
            model="m", messages=ASK, tools=[_tool("odd", odd)], tool_choice="required", seed=1, max_tokens=900
        )
        arguments = json.loads(reply.choices[0].message.tool_calls[0].function.arguments)
        assert arguments["type"] == {"type": "no type"} and arguments.keys() == {"type", "default"}


async def test_an_engine_without_grammars_refuses_tools() -> None:
    async with ScriptedEngine("x") as engine, _serve(engine) as (_, http):
        reply = await http.post("chat/completions", json={"model": "m", "messages": ASK, "tools": [STOP]})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "tools")


@pytest.mark.parametrize("path", ["embeddings", "responses", "images/generations"])
async def test_what_is_not_there_names_what_is(path: str) -> None:
    async with ScriptedEngine("x") as engine, _serve(engine) as (_, http):
        reply = await http.post(path, json={"model": "m", "input": "x"})
        error = reply.json()["error"]
        assert (reply.status_code, error["type"], error["code"]) == (
            404,
            "invalid_request_error",
            "unknown_url",
        )
        assert f"/v1/{path}" in error["message"] and "/v1/chat/completions" in error["message"]
