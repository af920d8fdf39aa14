"""Responses in the shapes that servers send: finish reasons, stop strings, log-probabilities, usage."""

from __future__ import annotations

import asyncio

import pytest

from braid.engine import (
    Budget,
    BudgetExceededError,
    CapabilityError,
    Message,
    SamplingParams,
)
from tests.support.fault_server import Call, FaultServer, Handler, piece, says
from tests.support.remote_engine import DRAW, USAGE, one, opened, streamed


def scripted(
    *chunks: tuple[str, str | None], usage: dict[str, int] | None = None, done: bool = True
) -> Handler:
    """A streamed answer of texts with a `finish_reason` each, the same for every branch."""

    async def handler(call: Call) -> None:
        await call.begin_events()
        for text, finish in chunks:
            for index in range(call.body.get("n", 1)):
                await call.event(piece(text, chat="messages" in call.body, index=index, finish=finish))
        if usage is not None:
            await call.event({"choices": [], "usage": usage})
        await call.finish(done=done)

    return handler


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize(
    ("chunks", "finish"),
    [
        ([("he", ""), ("llo", ""), ("", "stop")], "stop"),
        ([("he", " "), ("llo", "null"), ("", "length")], "length"),
        ([("he", "None"), ("llo", "none"), ("", None)], "stop"),
        ([("he", "stop"), ("llo", "stop"), ("", "stop")], "stop"),
        ([("he", "stop"), ("llo", "length"), ("", None)], "length"),
        ([("hel", "stop"), ("", "stop"), ("lo", "")], "stop"),
    ],
)
async def test_text_is_read_whatever_finish_reasons_come_before_it(
    faults: FaultServer, chunks: list[tuple[str, str | None]], finish: str, chat: bool, n: int
) -> None:
    faults.answer = scripted(*chunks, usage=USAGE | {"completion_tokens": 2 * n})
    params = SamplingParams(n=n, max_tokens=16, temperature=1.0)
    async with await opened(faults) as engine:
        prompt = [Message(role="user", content="hi")] if chat else "hi"
        async with await engine.prefill(prompt) as context:
            drawn = await engine.generate(context, params)
            tokens = [token async for token in engine.stream(context, params)]
            for completion in drawn:
                completion.context.release()
    assert len(faults.calls) == 2
    assert [(one.text, one.finish_reason) for one in drawn] == [("hello", finish)] * n
    for index in range(n):
        branch = [token for token in tokens if token.index == index]
        assert "".join(token.text for token in branch) == "hello"
        assert [token.finish_reason for token in branch if token.finish_reason] == [finish]
    assert [one.usage.generated_tokens for one in drawn] == [2] * n, "usage that comes after the end"


@pytest.mark.parametrize("said", ["", "null", None])
async def test_a_completion_that_only_seems_to_have_ended_is_tried_again(
    faults: FaultServer, said: str | None
) -> None:
    faults.script = [scripted(("he", said), done=False), says("hello")]
    async with await opened(faults) as engine:
        assert (await one(engine)).text == "hello"
        assert len(faults.calls) == 2


async def test_a_stop_string_is_found_across_a_finish_reason(faults: FaultServer) -> None:
    faults.answer = scripted(("hello#", "stop"), ("##", "stop"), ("more", "length"))
    async with await opened(faults) as engine:
        completion = await one(engine, SamplingParams(max_tokens=16, stop=("###",)))
    assert (completion.text, completion.finish_reason, completion.stop_hit) == ("hello", "stop", "###")


async def test_a_stop_string_that_the_server_ignores(faults: FaultServer) -> None:
    left = asyncio.Event()

    async def endless(call: Call) -> None:
        await call.begin_events()
        try:
            for text in ["one ", "tw", "o S", "TO", "P three", *["more "] * 1000]:
                await call.event(piece(text, chat=False))
                await asyncio.sleep(0.001)
        except ConnectionError:
            left.set()

    faults.answer = endless
    async with await opened(faults) as engine:
        completion = await one(engine, SamplingParams(stop=("STOP", "never"), temperature=1.0))
        assert (completion.text, completion.finish_reason, completion.stop_hit) == (
            "one two ",
            "stop",
            "STOP",
        )
        tokens = await streamed(engine, SamplingParams(stop=("STOP",), temperature=1.0))
        assert "".join(token.text for token in tokens) == "one two "
        assert tokens[-1].stop_hit == "STOP"
        await asyncio.wait_for(left.wait(), 5)


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
async def test_the_server_says_which_stop_string_it_was(faults: FaultServer, field: str) -> None:
    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.event(piece("one", chat=True))
        await call.event(piece("", chat=True, finish="stop", **{field: "two"}))
        await call.finish()

    faults.answer = handler
    async with await opened(faults) as engine:
        completion = await one(engine, SamplingParams(stop=("two", "three")), chat=True)
        assert (completion.text, completion.stop_hit) == ("one", "two")


def with_logprobs(call: Call) -> list[dict[str, object]]:
    if "messages" in call.body:
        entry = {"token": "he", "logprob": -0.5, "bytes": [104, 101]}
        best = [{"token": "he", "logprob": -0.5}, {"token": "she", "logprob": -1.5}]
        first = piece("he", chat=True, logprobs={"content": [entry | {"top_logprobs": best}]})
        rest = [{"token": t, "logprob": -p, "top_logprobs": []} for t, p in (("l", 0.1), ("lo", 0.2))]
        return [first, piece("llo", chat=True, finish="stop", logprobs={"content": rest})]
    first = {
        "tokens": ["he"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"she": -1.5, "he": -0.5}],
        "text_offset": [0],
    }
    rest = {
        "tokens": ["l", "lo"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": None,
        "text_offset": [2, 3],
    }
    return [piece("he", chat=False, logprobs=first), piece("llo", chat=False, finish="stop", logprobs=rest)]


@pytest.mark.parametrize("chat", [False, True])
async def test_logprobs_in_both_formats(faults: FaultServer, chat: bool) -> None:
    async def handler(call: Call) -> None:
        await call.begin_events()
        for event in with_logprobs(call):
            await call.event(event)
        await call.finish()

    faults.answer = handler
    async with await opened(faults) as engine:
        completion = await one(engine, SamplingParams(logprobs=2), chat=chat)
        assert completion.logprobs == (-0.5, -0.1, -0.2)
        assert completion.top_logprobs is not None
        assert completion.top_logprobs[0] == (("he", -0.5), ("she", -1.5))
        assert completion.usage.generated_tokens == 3, "counted by the log-probabilities, since no usage came"
        assert "estimated" in engine.info.details["usage"]
        sent = faults.calls[0].body
        assert (sent["logprobs"], sent.get("top_logprobs")) == ((True, 2) if chat else (2, None))


async def test_ignored_logprobs_leave_the_capabilities(faults: FaultServer) -> None:
    faults.answer = says("hello")
    async with await opened(faults) as engine:
        with pytest.raises(CapabilityError, match="log-probabilities"):
            await one(engine, SamplingParams(logprobs=1))
        assert "logprobs" not in engine.capabilities
        with pytest.raises(CapabilityError):
            await one(engine, SamplingParams(logprobs=1))
        assert len(faults.calls) == 1


async def test_cached_tokens_and_overshoot_are_reported(faults: FaultServer) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 80}}
    faults.answer = says("hello", usage={"prompt_tokens": 90, "completion_tokens": 1, **details})
    scope = Budget(tokens=50)
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        [completion] = await engine.generate(context, DRAW, budget=scope)
        assert (completion.usage.prompt_tokens, completion.usage.cached_tokens) == (90, 80)
        assert scope.overshoot["tokens"] == 41
        with pytest.raises(BudgetExceededError):
            await engine.generate(context, DRAW, budget=scope)
        assert completion.context.token_count == 91
        completion.context.release()
