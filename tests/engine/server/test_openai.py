"""The official `openai` client against a real server over the local engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest

from braid.engine import SamplingParams
from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.engine.server import ServerOptions, serving

PROMPT = "one two three"
CHAT = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "one two three"}]


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


async def _reference(engine: LocalEngine, prompt, **params):
    """What the engine itself says: tokens by branch, and the prompt's length."""
    settings = SamplingParams(**{"max_tokens": 12, "temperature": 0.0, **params})
    async with await engine.prefill(prompt) as context:
        tokens = [token async for token in engine.stream(context, settings)]
        branches = [[t for t in tokens if t.index == index] for index in range(settings.n)]
        return branches, context.token_count


def _text(tokens) -> str:
    return "".join(token.text for token in tokens)


async def test_models(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == ["tiny"]
    assert (await client.models.retrieve("tiny")).owned_by == "braid"
    assert listed[0].model_dump()["max_model_len"] == local.info.max_context
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("another/model")


async def test_completion_equals_the_engine(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    ((expected,), length) = await _reference(local, PROMPT, logprobs=3)
    reply = await client.completions.create(
        model="tiny", prompt=PROMPT, max_tokens=12, temperature=0, logprobs=3
    )
    (choice,) = reply.choices
    assert choice.text == _text(expected) and choice.finish_reason == expected[-1].finish_reason
    assert reply.usage and reply.usage.prompt_tokens == length
    assert reply.usage.completion_tokens == len(expected)
    assert reply.usage.total_tokens == length + len(expected)
    logprobs = choice.logprobs
    assert logprobs and logprobs.tokens == [token.text for token in expected]
    assert logprobs.token_logprobs == pytest.approx([token.logprob for token in expected], abs=1e-4)
    assert logprobs.text_offset and logprobs.top_logprobs
    for offset, token in zip(logprobs.text_offset, logprobs.tokens, strict=True):
        assert choice.text[offset:].startswith(token)
    assert all(1 <= len(best) <= 3 for best in logprobs.top_logprobs)


async def test_chat_equals_the_engine(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    ((expected,), length) = await _reference(local, CHAT, logprobs=2)
    reply = await client.chat.completions.create(
        model="tiny", messages=CHAT, max_completion_tokens=12, temperature=0, logprobs=True, top_logprobs=2
    )
    (choice,) = reply.choices
    assert (choice.message.role, choice.message.content) == ("assistant", _text(expected))
    assert reply.usage and reply.usage.prompt_tokens == length
    assert choice.logprobs and choice.logprobs.content
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    for entry, token in zip(choice.logprobs.content, expected, strict=True):
        assert entry.logprob == pytest.approx(token.logprob, abs=1e-4)
        assert [best.token for best in entry.top_logprobs] == [text for text, _ in token.top_logprobs]
        assert entry.bytes == (None if "\ufffd" in entry.token else list(entry.token.encode()))


async def test_streams_bring_what_responses_bring(client: openai.AsyncOpenAI) -> None:
    settings = {"model": "tiny", "max_tokens": 12, "temperature": 1.0, "seed": 7, "n": 2}
    whole = await client.chat.completions.create(messages=CHAT, logprobs=True, **settings)
    texts, roles, logprobs, reasons, usage = ["", ""], [], [0, 0], {}, None
    async for chunk in await client.chat.completions.create(
        messages=CHAT, logprobs=True, stream=True, stream_options={"include_usage": True}, **settings
    ):
        assert usage is None, "the usage comes last"
        usage = chunk.usage
        for choice in chunk.choices:
            roles += [choice.delta.role] * bool(choice.delta.role)
            texts[choice.index] += choice.delta.content or ""
            logprobs[choice.index] += len(choice.logprobs.content or ()) if choice.logprobs else 0
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == {choice.index: choice.finish_reason for choice in whole.choices}
    assert logprobs == [len(choice.logprobs.content) for choice in whole.choices]
    assert roles == ["assistant"] * 2
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert usage.prompt_tokens == whole.usage.prompt_tokens

    whole = await client.completions.create(prompt=[PROMPT, "four five"], logprobs=1, **settings)
    texts, offsets = [""] * 4, [[], [], [], []]
    async for chunk in await client.completions.create(
        prompt=[PROMPT, "four five"], logprobs=1, stream=True, **settings
    ):
        assert chunk.usage is None
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            offsets[choice.index] += choice.logprobs.text_offset if choice.logprobs else []
    assert texts == [choice.text for choice in whole.choices]
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices]


async def test_the_clients_own_stream_helper() -> None:
    async with (
        ScriptedEngine("One, two, three.") as engine,
        serving(engine, ServerOptions(port=0)) as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client,
        client.chat.completions.stream(model="scripted", messages=CHAT) as stream,
    ):
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "".join(deltas) == "One, two, three."
    assert final.choices[0].finish_reason == "stop"


async def test_synchronous_client(url: str) -> None:
    def ask() -> tuple[str, str]:
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            settings = {"model": "tiny", "prompt": PROMPT, "max_tokens": 8, "temperature": 0}
            whole = client.completions.create(**settings)
            pieces = [chunk.choices[0].text for chunk in client.completions.create(stream=True, **settings)]
            return whole.choices[0].text, "".join(pieces)

    whole, streamed = await asyncio.to_thread(ask)
    assert whole == streamed


async def test_branches_seeds_and_sampling(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    settings = {"model": "tiny", "max_tokens": 10, "temperature": 1.2, "top_p": 0.95, "seed": 3}
    extras = {"top_k": 50, "min_p": 0.01}
    reply = await client.completions.create(prompt=PROMPT, n=3, extra_body=extras, **settings)
    expected, length = await _reference(
        local, PROMPT, n=3, max_tokens=10, temperature=1.2, top_p=0.95, seed=3, top_k=50, min_p=0.01
    )
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert [choice.text for choice in reply.choices] == [_text(branch) for branch in expected]
    assert reply.usage.prompt_tokens == length, "n branches share one prompt"
    assert reply.usage.completion_tokens == sum(map(len, expected))


async def test_penalties_and_biases(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    settings = {"model": "tiny", "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    given = {"presence_penalty": 1.5, "frequency_penalty": 0.5, "logit_bias": {"5": 3, "7": -100}}
    extras = {"repetition_penalty": 1.3}
    ((expected,), _) = await _reference(
        local, PROMPT, **(given | {"logit_bias": {5: 3.0, 7: -100.0}}), **extras
    )
    reply = await client.completions.create(extra_body=extras, **given, **settings)
    assert reply.choices[0].text == _text(expected)
    forced = await client.chat.completions.create(
        model="tiny", messages=CHAT, max_tokens=4, temperature=0, logit_bias={"300": 100}
    )
    assert forced.choices[0].message.content == local.decode([300]) * 4
    outside = str(10**6)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(logit_bias={outside: 1}, **settings)
    assert (refused.value.param, refused.value.code) == ("logit_bias", "invalid_value")


async def test_stop_strings_tokens_and_length(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    ((tokens,), _) = await _reference(local, PROMPT)
    text = _text(tokens)
    stop = next(text[i : i + 2] for i in range(3, len(text)) if text[i : i + 2].isascii())
    settings = {"model": "tiny", "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    stopped = (await client.completions.create(stop=["never to be seen", stop], **settings)).choices[0]
    assert stopped.text == text[: text.index(stop)] and stopped.finish_reason == "stop"
    assert stopped.model_dump()["stop_reason"] == stop
    ids = {"stop_token_ids": [tokens[2].id], "return_token_ids": True}
    halted = (await client.completions.create(extra_body=ids, **settings)).choices[0]
    assert halted.finish_reason == "stop"
    sampled = [token.id for token in tokens]
    assert halted.model_dump()["token_ids"] == sampled[: sampled.index(tokens[2].id) + 1]
    cut = (await client.completions.create(**(settings | {"max_tokens": 2}))).choices[0]
    assert cut.finish_reason == ("stop" if len(tokens) <= 2 else "length")


async def test_prompts_of_every_kind(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    settings = {"model": "tiny", "max_tokens": 6, "temperature": 0}
    ids = list(local.encode(PROMPT))
    by_text = await client.completions.create(prompt=PROMPT, **settings)
    by_ids = await client.completions.create(prompt=ids, **settings)
    several = await client.completions.create(prompt=[PROMPT, "four five", PROMPT], **settings)
    lists = await client.completions.create(prompt=[ids, ids], **settings)
    assert by_text.choices[0].text == by_ids.choices[0].text
    assert by_text.choices[0].text == several.choices[0].text == several.choices[2].text
    assert [choice.text for choice in lists.choices] == [by_text.choices[0].text] * 2
    assert several.usage.prompt_tokens == 2 * len(ids) + len(local.encode("four five"))
    echoed = await client.completions.create(prompt=[PROMPT, "four five"], echo=True, **settings)
    assert echoed.choices[0].text == PROMPT + by_text.choices[0].text
    assert echoed.choices[1].text.startswith("four five")
    pieces = [
        c async for c in await client.completions.create(prompt=ids, echo=True, stream=True, **settings)
    ]
    assert "".join(chunk.choices[0].text for chunk in pieces) == PROMPT + by_text.choices[0].text


async def test_cached_tokens_are_told(client: openai.AsyncOpenAI) -> None:
    settings = {"model": "tiny", "messages": CHAT, "max_tokens": 2, "temperature": 0}
    first = await client.chat.completions.create(**settings)
    again = await client.chat.completions.create(**settings)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert 0 < again.usage.prompt_tokens_details.cached_tokens < again.usage.prompt_tokens


async def test_a_begun_answer_goes_on(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    settings = {"model": "tiny", "temperature": 0, "max_tokens": 8}
    flags = {"continue_final_message": True, "add_generation_prompt": False}
    begun = [*CHAT, {"role": "assistant", "content": "four five"}]
    reply = await client.chat.completions.create(messages=begun, extra_body=flags, **settings)
    async with await local.prefill(CHAT) as context, await local.extend(context, "four five") as longer:
        (expected,) = await local.generate(longer, SamplingParams(temperature=0, max_tokens=8))
        expected.context.release()
        assert reply.usage.prompt_tokens == longer.token_count
    assert reply.choices[0].message.content == expected.text
    ended = await client.chat.completions.create(messages=begun, **settings)
    assert ended.usage.prompt_tokens > reply.usage.prompt_tokens, "without the flags the message is complete"


async def test_a_chat_without_a_limit_may_fill_the_context(
    client: openai.AsyncOpenAI, local: LocalEngine
) -> None:
    reply = await client.chat.completions.create(
        model="tiny", messages=CHAT, temperature=0, extra_body={"ignore_eos": True}
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.total_tokens == local.info.max_context


async def test_text_parts_and_fields_that_ask_for_nothing() -> None:
    engine = ScriptedEngine("Four.")
    async with (
        serving(engine, ServerOptions(port=0)) as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client,
    ):
        parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "2 + 2?"}]
        messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
        reply = await client.chat.completions.create(
            model="scripted",
            messages=messages,
            presence_penalty=0,
            logit_bias={},
            stop=None,
            user="somebody",
            metadata={"a": "b"},
            response_format={"type": "text"},
        )
        followup = [*messages, reply.choices[0].message.model_dump(), {"role": "user", "content": "Sure?"}]
        again = await client.chat.completions.create(model="scripted", messages=followup)
    assert reply.choices[0].message.content == again.choices[0].message.content == "Four."
    assert engine.calls[0].messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 2 + 2?"},
    )
    assert engine.open_contexts() == 0


async def test_response_format_binds_the_answer(client: openai.AsyncOpenAI, local: LocalEngine) -> None:
    if "grammar" not in local.capabilities:
        pytest.skip("the local engine has no grammars without the extra 'grammar'")
    word = {"type": "string", "enum": ["kzq"]}
    schema = {
        "type": "object",
        "properties": {"word": word},
        "required": ["word"],
        "additionalProperties": False,
    }
    settings = {"model": "tiny", "messages": CHAT, "max_tokens": 60, "temperature": 1.0}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    reply = await client.chat.completions.create(response_format=form, n=2, seed=1, **settings)
    assert [json.loads(choice.message.content) for choice in reply.choices] == [{"word": "kzq"}] * 2
    bad = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "no such type"}}}
    endless = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"$ref": "#"}}}
    for form in (bad, endless):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(response_format=form, **settings)
        assert refused.value.param == "response_format"
