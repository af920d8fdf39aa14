"""Replies in the shapes of single servers: nulls, faults, thoughts, calls, halves of characters.

Each shape is one that a server or gateway is known to send.
"""

from __future__ import annotations

from typing import Any

import pytest

from braid.engine import EngineError, EngineResponseError, SamplingParams
from tests.support.fault_server import Call, FaultServer, piece
from tests.support.remote_engine import KEY, NO_REPLY, USAGE, chat, delta, drawn, one, opened, sends


@pytest.mark.parametrize(
    "last",
    [
        {"choices": None, "usage": USAGE},
        {"choices": [], "usage": USAGE | {"prompt_tokens_details": {"cached_tokens": None}}},
        {"choices": [], "x_groq": {"id": "r", "usage": USAGE, "error": None}},
        {"choices": [NO_REPLY | {"delta": None, "logprobs": None, "usage": USAGE}], "usage": None},
        {"choices": [{"index": None, "delta": {"content": None, "tool_calls": None}}], "usage": USAGE},
        {"choices": [], "usage": USAGE | {"prompt_tokens": 5.0, "completion_tokens_details": None}},
        {"object": "chat.completion.chunk", "usage": USAGE, "choices": None, "error": None, "detail": None},
    ],
)
async def test_nulls_and_usage_wherever_servers_put_them(faults: FaultServer, last: dict[str, Any]) -> None:
    completion = await drawn(faults, chat("he"), chat("llo"), chat(finish="stop"), last)
    assert (completion.text, completion.finish_reason) == ("hello", "stop")
    assert (completion.usage.prompt_tokens, completion.usage.generated_tokens) == (5, 2)


@pytest.mark.parametrize(
    "usage",
    ["n/a", [], {}, {"prompt_tokens": "many"}, {"prompt_tokens": None, "completion_tokens": None}, 7],
)
async def test_usage_that_says_nothing_is_estimated(faults: FaultServer, usage: object) -> None:
    completion = await drawn(faults, chat("he"), chat("llo", "stop"), {"choices": [], "usage": usage})
    assert completion.text == "hello"
    assert completion.usage.prompt_tokens > 0 and completion.usage.generated_tokens == 2


@pytest.mark.parametrize("zeros_last", [True, False])
async def test_zeros_beside_a_usage_are_none(faults: FaultServer, zeros_last: bool) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    said = [USAGE | {"completion_tokens": 7}, zeros]
    events = [{"choices": [], "usage": usage} for usage in (said if zeros_last else said[::-1])]
    completion = await drawn(faults, chat("he"), chat("llo", "stop"), *events)
    assert (completion.usage.prompt_tokens, completion.usage.generated_tokens) == (5, 7)


async def test_only_zeros_are_counted_here(faults: FaultServer) -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0}
    completion = await drawn(faults, chat("he"), chat("llo", "stop"), {"choices": [], "usage": zeros})
    assert completion.usage.prompt_tokens > 0 and completion.usage.generated_tokens == 2


@pytest.mark.parametrize("said", [8, 3, 24, None])
async def test_a_count_of_one_branch_is_no_count_of_three(faults: FaultServer, said: int | None) -> None:
    """llama.cpp reports the tokens of each of several branches as if there were no other."""
    texts = [piece("x", chat=True, index=index) for _ in range(8) for index in range(3)]
    ends = [piece("", chat=True, index=index, finish="length") for index in range(3)]
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": said}}
    faults.answer = sends(*texts, *ends, usage)
    async with (
        await opened(faults) as engine,
        await engine.prefill([{"role": "user", "content": "hi"}]) as context,
    ):
        branches = await engine.generate(context, SamplingParams(n=3, max_tokens=8, temperature=1.0))
        for branch in branches:
            branch.context.release()
    assert [branch.usage.generated_tokens for branch in branches] == [8, 8, 8]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("error", "'error'"),
        ("content_filter", "content filter"),
        ("network_error", "'network_error'"),
        ("insufficient_system_resource", "'insufficient_system_resource'"),
        ("ERROR", "'ERROR'"),
    ],
)
@pytest.mark.parametrize("with_text", [True, False])
async def test_an_end_that_is_a_fault_is_an_error(
    faults: FaultServer, reason: str, said: str, with_text: bool
) -> None:
    with pytest.raises(EngineResponseError, match=said):
        await drawn(faults, chat("he"), chat("llo" if with_text else "", reason))


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("LENGTH", "length"),
        ("end_turn", "stop"),
        ("eos", "stop"),
        ("STOP", "stop"),
        ("canceled", "cancelled"),
        ("normal", "stop"),
        ("limit", "length"),
    ],
)
async def test_reasons_by_other_names(faults: FaultServer, reason: str, finish: str) -> None:
    completion = await drawn(faults, chat("hello"), chat(finish=reason))
    assert (completion.text, completion.finish_reason) == ("hello", finish)


async def test_a_fault_that_is_not_the_last_reason_is_none(faults: FaultServer) -> None:
    completion = await drawn(faults, chat("he", "running"), chat("llo", "running"), chat("", "stop"))
    assert (completion.text, completion.finish_reason) == ("hello", "stop")


REFUSALS: list[tuple[object, str]] = [
    (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "insufficient balance.*1008",
    ),
    ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "rate limit"),
    ({"error_type": "quota", "error_message": "no more today"}, "no more today quota"),
    ({"error_code": 17, "error_msg": "daily limit reached"}, "daily limit reached 17"),
    ({"choices": [], "code": "InvalidApiKey", "message": "wrong key"}, "wrong key InvalidApiKey"),
    ([{"error": {"code": 400, "message": "no such thing", "status": "INVALID"}}], "no such thing"),
    ({"success": False, "errors": [{"code": 7, "message": "bad account"}]}, "bad account"),
    ({"error": True, "message": "out of memory"}, "out of memory"),
    ({"error": {"message": "Provider returned error", "metadata": {"raw": "GPU lost"}}}, "GPU lost"),
    ({"fault": {"faultstring": "over quota"}}, "over quota"),
]


@pytest.mark.parametrize(("payload", "words"), REFUSALS)
@pytest.mark.parametrize("way", ["body", "event", "after text"])
async def test_the_words_of_a_refusal_with_status_200_are_kept(
    faults: FaultServer, payload: object, words: str, way: str
) -> None:
    async def body(call: Call) -> None:
        await call.json(payload)

    before = [chat("he")] if way == "after text" else []
    faults.answer = body if way == "body" else sends(*before, payload)
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match=words):
            await one(engine, chat=True)


async def test_an_error_in_the_field_that_names_it(faults: FaultServer) -> None:
    words = b'error: {"code": 400, "message": "the slot is gone", "type": "server_error"}\n\n'
    with pytest.raises(EngineResponseError, match="the slot is gone"):
        await drawn(faults, chat("he"), words)


@pytest.mark.parametrize("finish", ["stop", "error", None])
async def test_a_failed_choice_is_an_error(faults: FaultServer, finish: str | None) -> None:
    failed = chat(finish=finish, error={"code": 502, "message": "provider disconnected"})
    with pytest.raises(EngineResponseError, match="provider disconnected"):
        await drawn(faults, chat("he"), failed, chat(finish="stop"))


async def test_a_reply_is_no_refusal_for_its_further_fields(faults: FaultServer) -> None:
    more = {"base_resp": {"status_code": 0, "status_msg": ""}, "message": "ok", "detail": "x"}
    first = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    completion = await drawn(faults, first, chat("hello") | more, chat(finish="stop") | more, b"data: \n\n")
    assert completion.text == "hello"


async def test_secrets_stay_out_of_the_words(faults: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for answer in (sends({"fault": KEY}), sends(chat("he", KEY)), sends({"choices": [], "error_msg": KEY})):
        faults.answer = answer
        async with await opened(faults, api_key_env="MY_KEY") as engine:
            with pytest.raises(EngineError) as caught:
                await one(engine, chat=True)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["half \ud835 pair"], "half \ufffd pair"),
        (["\ud835", "\udc00!"], "\U0001d400!"),
        (["so \ud835"], "so \ufffd"),
        (["\udc00", "\ud835", "x"], "\ufffd\ufffdx"),
    ],
)
@pytest.mark.parametrize("stop", [(), ("END",)])
async def test_halves_of_characters_are_joined_or_mended(
    faults: FaultServer, texts: list[str], expected: str, stop: tuple[str, ...]
) -> None:
    completion = await drawn(faults, *map(chat, texts), chat(finish="stop"), stop=stop)
    assert completion.text == expected
    thoughts = await drawn(faults, *(delta(reasoning=text) for text in texts), chat("x", "stop"))
    assert thoughts.reasoning == expected


async def test_a_refusal_may_hold_half_a_character(faults: FaultServer) -> None:
    with pytest.raises(EngineResponseError, match="bad \ufffd"):
        await drawn(faults, {"error": {"message": "bad \ud835"}})


async def test_the_engine_mends_what_it_is_given(faults: FaultServer) -> None:
    faults.answer = sends(chat("ok", "stop"))
    broken = "How tall is K2 \udcff?"
    mended = "How tall is K2 \ufffd?"
    async with await opened(faults) as engine:
        for prompt in (broken, [{"role": "user", "content": broken}]):
            async with (
                await engine.prefill(prompt) as context,  # type: ignore[arg-type]
                await engine.extend(context, "\ud835") as begun,
            ):
                assert begun.text.endswith("\ufffd")
                [completion] = await engine.generate(begun, SamplingParams(stop=("\udc00",)))
                completion.context.release()
    assert faults.calls[0].body["prompt"] == mended + "\ufffd"
    assert faults.calls[1].body["messages"][0]["content"] == mended
    assert faults.calls[1].body["stop"] == ["\ufffd"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
async def test_reasoning_is_read_beside_the_text(faults: FaultServer, name: str) -> None:
    completion = await drawn(
        faults,
        delta(role="assistant", content=None, **{name: "let me "}),
        delta(content="", **{name: "see END"}),
        delta(content="hel", **{name: None}),
        delta(content="lo"),
        chat(finish="stop"),
        stop=("END",),
    )
    assert (completion.text, completion.reasoning) == ("hello", "let me see END")
    assert completion.usage.generated_tokens == 4, "thoughts are generated, too"


@pytest.mark.parametrize(
    ("fields", "text", "reasoning"),
    [
        ({"reasoning": "a", "reasoning_content": "a", "content": "b"}, "b", "a"),
        ({"reasoning": "a", "reasoning_content": "", "content": "b"}, "b", "a"),
        ({"content": [{"type": "text", "text": "b"}]}, "b", ""),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"text": "b"}]},
            "b",
            "a",
        ),
        ({"content": None, "refusal": "I cannot"}, "I cannot", ""),
    ],
)
async def test_forms_of_text_and_thoughts(
    faults: FaultServer, fields: dict[str, Any], text: str, reasoning: str
) -> None:
    completion = await drawn(faults, delta(**fields), chat(finish="stop"))
    assert (completion.text, completion.reasoning) == (text, reasoning)


async def test_thoughts_alone_are_no_empty_answer(faults: FaultServer) -> None:
    completion = await drawn(faults, delta(reasoning="so much"), chat(finish="length"))
    assert (completion.text, completion.reasoning, completion.finish_reason) == ("", "so much", "length")


async def test_logprobs_of_thoughts_are_none_of_the_text(faults: FaultServer) -> None:
    def entry(token: str, logprob: float) -> dict[str, Any]:
        return {"content": [{"token": token, "logprob": logprob, "top_logprobs": None}]}

    thought = {"choices": [NO_REPLY | {"delta": {"reasoning": "hm"}, "logprobs": entry("hm", -0.1)}]}
    completion = await drawn(faults, thought, chat("he", "stop", logprobs=entry("he", -0.5)), logprobs=1)
    assert (completion.text, completion.reasoning, completion.logprobs) == ("he", "hm", (-0.5,))


def function(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}} | more


@pytest.mark.parametrize(
    "parts",
    [
        [
            [function("get", "", index=0, id="a", type="function")],
            [function(None, '{"x":', index=0)],
            [function(None, " 1}", index=0), function("put", "{}", index=1, id="b")],
        ],
        [[function("get", '{"x": 1}', index=0, id="a"), function("put", "{}", index=1, id="b")]],
        [[function("get", {"x": 1}, id="a")], [function("put", {}, id="b")]],
        [
            [function("get", '{"x"', id="a")],
            [function("", ": 1}", id=None)],
            [function("put", "{}", id="b")],
        ],
    ],
)
async def test_tool_calls_are_read_in_parts_and_whole(
    faults: FaultServer, parts: list[list[dict[str, Any]]]
) -> None:
    events = [delta(content=None, tool_calls=calls) for calls in parts]
    completion = await drawn(faults, *events, chat(finish="tool_calls"))
    assert (completion.text, completion.finish_reason) == ("", "stop")
    assert [(call.name, call.arguments, call.id) for call in completion.tool_calls] == [
        ("get", '{"x": 1}', "a"),
        ("put", "{}", "b"),
    ]


async def test_a_function_call_of_the_older_kind(faults: FaultServer) -> None:
    parts = [{"name": "get", "arguments": ""}, {"arguments": '{"x": '}, {"arguments": "1}"}]
    events = [delta(function_call=part) for part in parts]
    completion = await drawn(faults, *events, chat(finish="function_call"))
    [call] = completion.tool_calls
    assert (call.name, call.arguments) == ("get", '{"x": 1}')


@pytest.mark.parametrize("rest", ["", "!"])
async def test_a_whole_message_behind_its_parts_is_not_said_twice(faults: FaultServer, rest: str) -> None:
    whole = {"choices": [{"finish_reason": "stop", "message": {"content": "hello" + rest}}], "usage": USAGE}
    completion = await drawn(faults, chat("he"), chat("llo"), whole)
    assert completion.text == "hello" + rest


async def test_choices_without_numbers_are_numbered_by_their_places(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        said = [{"message": {"content": text}, "finish_reason": "stop"} for text in ("one", "two")]
        await call.json({"choices": said, "usage": USAGE})

    faults.answer = handler
    async with (
        await opened(faults) as engine,
        await engine.prefill([{"role": "user", "content": "hi"}]) as context,
    ):
        branches = await engine.generate(context, SamplingParams(n=2, temperature=1.0))
        for branch in branches:
            branch.context.release()
    assert [branch.text for branch in branches] == ["one", "two"]


@pytest.mark.parametrize("with_chat", [True, False])
async def test_log_probabilities_in_the_form_of_a_chat_at_both_endpoints(
    faults: FaultServer, with_chat: bool
) -> None:
    def entry(token: str, logprob: float) -> dict[str, Any]:
        best = {"id": 5, "token": token, "bytes": [104], "logprob": logprob}
        return {"content": [best | {"top_logprobs": [best, {"token": "?", "logprob": None}]}]}

    faults.answer = sends(
        piece("he", chat=with_chat, logprobs=entry("he", -0.5)),
        piece("llo", chat=with_chat, logprobs=entry("llo", -0.25)),
        piece("", chat=with_chat, finish="stop"),
    )
    async with await opened(faults) as engine:
        completion = await one(engine, SamplingParams(logprobs=1, temperature=1.0), chat=with_chat)
        assert "logprobs" in engine.capabilities
    assert completion.logprobs == (-0.5, -0.25)
    assert completion.top_logprobs == ((("he", -0.5),), (("llo", -0.25),))


async def test_events_of_a_server_that_calls_them_text(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await call.text(
            'data: {"choices": [{"index": 0, "text": "hello", "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
            content_type="text/plain",
        )

    faults.answer = handler
    async with await opened(faults) as engine:
        assert (await one(engine)).text == "hello"
