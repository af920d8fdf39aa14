"""What the remote engine sends, and what it learns from refusals."""

from __future__ import annotations

import pytest

from braid.engine import (
    Budget,
    CapabilityError,
    ContextLengthError,
    EngineResponseError,
    SamplingParams,
)
from tests.support.fault_server import Call, FaultServer, Handler, piece, refuses, says
from tests.support.remote_engine import DRAW, USAGE, one, opened


async def test_n_served_natively_is_one_call(faults: FaultServer) -> None:
    faults.answer = says("he", "llo", usage=USAGE | {"completion_tokens": 7})
    scope = Budget()
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        drawn = await engine.generate(context, SamplingParams(n=3, temperature=1.0, seed=4), budget=scope)
        for completion in drawn:
            completion.context.release()
        assert [completion.text for completion in drawn] == ["hello"] * 3
        assert len(faults.calls) == 1 and faults.calls[0].body["n"] == 3
        assert sum(completion.usage.generated_tokens for completion in drawn) == 7
        assert [completion.usage.prompt_tokens for completion in drawn] == [5, 0, 0]
        assert scope.spent == {"tokens": 12, "calls": 1}
        assert "native_n" in engine.capabilities


def ignoring_n(*, refuse: bool) -> Handler:
    async def handler(call: Call) -> None:
        if call.body.get("n", 1) > 1 and refuse:
            await call.json(
                {"error": {"message": "'n' must be 1", "type": "invalid_request_error"}}, status=400
            )
            return
        await call.begin_events()
        await call.event(piece(f"seed {call.body.get('seed')}", chat=False, finish="stop"))
        await call.finish()

    return handler


@pytest.mark.parametrize("refuse", [False, True])
async def test_missing_branches_get_seeds_of_their_own(faults: FaultServer, refuse: bool) -> None:
    faults.answer = ignoring_n(refuse=refuse)
    params = SamplingParams(n=3, temperature=1.0, seed=4)
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        first = await engine.generate(context, params)
        calls = len(faults.calls)
        again = await engine.generate(context, params)
        assert len(faults.calls) == calls + 3, "that the server ignores n is remembered"
        tokens = [token async for token in engine.stream(context, params)]
        for completion in [*first, *again]:
            completion.context.release()
        texts = [completion.text for completion in first]
        assert texts[0] == "seed 4" and len(set(texts)) == 3
        assert [completion.text for completion in again] == texts
        assert ["".join(token.text for token in tokens if token.index == i) for i in range(3)] == texts
        assert "native_n" not in engine.capabilities


async def test_a_chat_answer_is_continued_with_flags(faults: FaultServer) -> None:
    faults.answer = says("and more")
    async with (
        await opened(faults) as engine,
        await engine.prefill([{"role": "user", "content": "hi"}]) as context,
    ):
        begun = await engine.extend(context, "I think")
        [completion] = await engine.generate(begun, DRAW)
        sent = faults.calls[0].body
        assert sent["messages"] == [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "I think"},
        ]
        assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)
        assert completion.context.text.endswith("I thinkand more")
        begun.release()
        completion.context.release()


async def test_token_ids_are_sent_and_continued(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.event(piece("he", chat=False, token_ids=[7]))
        await call.event(piece("llo", chat=False, token_ids=[8, 9], finish="length"))
        await call.finish()

    faults.answer = handler
    async with (
        await opened(faults, capabilities={"token_ids"}) as engine,
        await engine.prefill([1, 2]) as context,
    ):
        [first] = await engine.generate(context, DRAW)
        [second] = await engine.generate(first.context, DRAW)
        assert first.token_ids == (7, 8, 9)
        assert [call.body["prompt"] for call in faults.calls] == [[1, 2], [1, 2, 7, 8, 9]]
        with pytest.raises(CapabilityError):
            await engine.extend(context, "text")
        first.context.release()
        second.context.release()


async def test_grammar_is_sent_as_a_schema_where_declared(faults: FaultServer) -> None:
    faults.answer = says('{"a": 1}')
    schema: dict[str, object] = {"type": "object"}
    async with await opened(faults) as engine:
        with pytest.raises(CapabilityError):
            await one(engine, SamplingParams(grammar=schema))
    async with await opened(faults, capabilities={"grammar"}) as engine:
        await one(engine, SamplingParams(grammar=schema))
        assert faults.calls[0].body["response_format"]["json_schema"]["schema"] == schema
        with pytest.raises(CapabilityError, match="regular expression"):
            await one(engine, SamplingParams(grammar="a|b"))


async def test_a_missing_endpoint_says_what_to_do(faults: FaultServer) -> None:
    async def chat_only(call: Call) -> None:
        await (
            says("hello") if call.path.endswith("chat/completions") else refuses(404, {"detail": "Not Found"})
        )(call)

    faults.answer = chat_only
    async with await opened(faults) as engine:
        with pytest.raises(CapabilityError, match="api='chat'"):
            await one(engine)
    async with await opened(faults, api="chat") as engine:
        assert (await one(engine)).text == "hello"
        assert faults.calls[-1].body["messages"] == [{"role": "user", "content": "hi"}]
    async with await opened(faults, api="completions") as engine:
        with pytest.raises(CapabilityError):
            await engine.prefill([{"role": "user", "content": "hi"}])


async def test_refusals_become_typed_errors(faults: FaultServer) -> None:
    async with await opened(faults) as engine:
        faults.answer = refuses(
            400, {"error": {"message": "This model's maximum context length is 64 tokens"}}
        )
        with pytest.raises(ContextLengthError):
            await one(engine)
        faults.answer = refuses(404, {"error": {"message": "The model `m` does not exist."}})
        with pytest.raises(EngineResponseError, match="after '#'"):
            await one(engine)


async def test_stream_options_are_left_out_where_they_are_refused(faults: FaultServer) -> None:
    async def strict(call: Call) -> None:
        bad = "stream_options" in call.body
        await (refuses(422, {"detail": "unknown field stream_options"}) if bad else says("hello"))(call)

    faults.answer = strict
    async with await opened(faults) as engine:
        assert (await one(engine)).text == "hello"
        assert (await one(engine)).text == "hello"
        assert len(faults.calls) == 3


async def test_the_length_limit_goes_by_its_newer_name_where_asked(faults: FaultServer) -> None:
    async def newer(call: Call) -> None:
        refusal = {
            "error": {
                "message": "Unsupported parameter: use 'max_completion_tokens' instead of 'max_tokens'."
            }
        }
        await (refuses(400, refusal) if "max_tokens" in call.body else says("hello"))(call)

    faults.answer = newer
    async with await opened(faults) as engine:
        assert (await one(engine, chat=True)).text == "hello"
        assert faults.calls[-1].body["max_completion_tokens"] == DRAW.max_tokens


SCHEMA: dict[str, object] = {"type": "object"}
LLAMA_CPP = {"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 64, "n_ctx_train": 4096}}


@pytest.mark.parametrize(
    ("model", "endpoints"),
    [
        ({"owned_by": "vllm", "max_model_len": 64}, {"chat", "completions"}),
        ({"owned_by": "library"}, {"chat"}),
        ({"owned_by": "braid", "capabilities": ["grammar"]}, {"chat", "completions"}),
        ({"owned_by": "braid", "capabilities": ["seed"]}, set[str]()),
        ({"owned_by": "someone", "capabilities": {"completion_chat": True}}, set[str]()),
    ],
)
async def test_servers_that_are_known_to_keep_to_a_schema_are_asked_to(
    faults: FaultServer, model: dict[str, object], endpoints: set[str]
) -> None:
    faults.models = [model | {"id": "m"}]
    faults.answer = says('{"a": ', "1}")
    async with await opened(faults) as engine:
        assert ("json_schema" in engine.capabilities) is bool(endpoints)
        for chat in (True, False):
            if ("chat" if chat else "completions") in endpoints:
                assert (
                    await one(engine, SamplingParams(max_tokens=16, grammar=SCHEMA), chat=chat)
                ).text == '{"a": 1}'
                assert faults.calls[-1].body["response_format"]["json_schema"]["schema"] == SCHEMA
            else:
                with pytest.raises(CapabilityError, match="json_schema"):
                    await one(engine, SamplingParams(max_tokens=16, grammar=SCHEMA), chat=chat)
    assert len(faults.calls) == len(endpoints)


@pytest.mark.parametrize("text", ["The answer is 1.", "```json\n{}\n```", "{", '{"a": 1} and more'])
async def test_a_schema_that_is_ignored_is_no_schema(faults: FaultServer, text: str) -> None:
    faults.models = [LLAMA_CPP]
    faults.answer = says(text)
    async with await opened(faults) as engine:
        with pytest.raises(CapabilityError, match="ignores the schema"):
            await one(engine, SamplingParams(max_tokens=16, grammar=SCHEMA), chat=True)
        assert "json_schema" not in engine.capabilities
        faults.answer = says(text, finish="length")
        assert (await one(engine, chat=True)).text == text


@pytest.mark.parametrize(
    ("text", "keeps_to_it"),
    [
        ('{"word": "kzq"}', True),
        ("{\n\n\n" + " " * 60, True),
        ('{"word"\t\n  :', True),
        ("One, two, three", False),
        ("{one: two}", False),
        (" \n" * 40, False),
    ],
)
async def test_the_probe_bears_with_white_space(faults: FaultServer, text: str, keeps_to_it: bool) -> None:
    async def answer(call: Call) -> None:
        chat = "messages" in call.body
        said = text if chat and "response_format" in call.body else "one two"
        choice = {"message": {"content": said}} if chat else {"text": said}
        await call.json({"choices": [choice | {"index": 0, "finish_reason": "length"}]})

    faults.answer = answer
    async with await opened(faults, probe=True) as engine:
        assert ("json_schema" in engine.capabilities) is keeps_to_it
        if keeps_to_it:
            with pytest.raises(CapabilityError, match="give messages"):
                await one(engine, SamplingParams(max_tokens=16, grammar=SCHEMA))


OVERFLOW = {
    "code": 400,
    "message": "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 9412,
    "n_ctx": 8192,
}


@pytest.mark.parametrize(
    "error",
    [
        OVERFLOW,
        {"message": "the request exceeds the available context size. try increasing the context size"},
        {"message": "Please reduce the length of the messages.", "code": "context_length_exceeded"},
        {"message": "The input (12 tokens) is longer than the model's context length (8 tokens)."},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
        {"message": "The input token count (40) exceeds the maximum number of tokens allowed (32)."},
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_context_that_is_too_long_is_told_from_other_refusals(
    faults: FaultServer, error: dict[str, object], streamed: bool
) -> None:
    async def inside(call: Call) -> None:
        await call.begin_events()
        await call.event({"error": error})
        await call.finish()

    faults.answer = inside if streamed else refuses(400, {"error": error})
    async with await opened(faults) as engine:
        with pytest.raises(ContextLengthError):
            await one(engine, chat=True)
    assert len(faults.calls) == 1


@pytest.mark.parametrize(
    "model",
    [
        LLAMA_CPP,
        {"id": "m", "max_model_len": 64},
        {"id": "m", "context_length": 64, "owned_by": None, "meta": None},
        {"id": "m", "context_window": 64, "capabilities": {"completion_chat": True}},
    ],
)
async def test_the_longest_context_by_all_its_names(faults: FaultServer, model: dict[str, object]) -> None:
    faults.models = [model]
    async with await opened(faults) as engine:
        assert engine.info.max_context == 64


async def test_one_choice_only_is_a_refusal_of_several(faults: FaultServer) -> None:
    async def strict(call: Call) -> None:
        refusal = refuses(400, {"error": {"message": "Only one completion choice is allowed"}})
        await (refusal if "n" in call.body else says("hello"))(call)

    faults.answer = strict
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        drawn = await engine.generate(context, SamplingParams(n=2, temperature=1.0))
        for completion in drawn:
            completion.context.release()
    assert [completion.text for completion in drawn] == ["hello", "hello"]
