"""The remote engine against a server that fails in every way that servers fail, on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from contextlib import aclosing
from email.utils import formatdate

import pytest

from braid.engine import (
    Budget,
    BudgetExceededError,
    CapabilityError,
    Completion,
    ContextLengthError,
    EngineConnectionError,
    EngineError,
    EngineResponseError,
    EngineURIError,
    InvalidParamsError,
    Message,
    SamplingParams,
    Token,
)
from braid.engine.remote.client import RetryPolicy, retry_after
from braid.engine.remote.engine import RemoteEngine
from tests.support.fault_server import Call, FaultServer, Handler, in_pieces, piece, refuses, says

FAST = RetryPolicy(max_retries=3, base=0.01, cap=0.02)
KEY = "sk-very-secret-0123456789"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
DRAW = SamplingParams(max_tokens=16, temperature=1.0)


async def opened(faults: FaultServer, **options: object) -> RemoteEngine:
    settings: dict[str, object] = {"api_key_env": None, "retries": FAST, "timeout": 5.0} | options
    return await RemoteEngine.open(faults.address, **settings)  # type: ignore[arg-type]


async def one(engine: RemoteEngine, params: SamplingParams = DRAW, *, chat: bool = False) -> Completion:
    """One completion, with its contexts given back."""
    async with await engine.prefill([{"role": "user", "content": "hi"}] if chat else "hi") as context:
        [completion] = await engine.generate(context, params)
        completion.context.release()
        return completion


async def streamed(engine: RemoteEngine, params: SamplingParams = DRAW) -> list[Token]:
    async with await engine.prefill("hi") as context:
        return [token async for token in engine.stream(context, params)]


# retries


async def test_429_and_500_are_retried_and_retry_after_is_honoured(faults: FaultServer) -> None:
    busy = refuses(429, {"error": {"message": "slow down"}}, headers={"retry-after": "0.2"})
    faults.script = [busy, refuses(500, {"detail": "oops"}), says("he", "llo", usage=USAGE)]
    async with await opened(faults) as engine:
        begun = time.monotonic()
        assert (await one(engine)).text == "hello"
        assert time.monotonic() - begun >= 0.2, "the server asked for that much"
        assert len(faults.calls) == 3


@pytest.mark.parametrize(
    ("status", "times"), [(429, 4), (503, 4), (500, 4), (400, 1), (401, 1), (501, 1), (302, 1)]
)
async def test_retries_end_in_a_typed_error(faults: FaultServer, status: int, times: int) -> None:
    faults.answer = refuses(status, {"error": {"message": "no such luck"}})
    async with await opened(faults) as engine:
        with pytest.raises((EngineResponseError, CapabilityError)) as caught:
            await one(engine)
        assert len(faults.calls) == times
        if isinstance(caught.value, EngineResponseError):
            assert caught.value.status == status and "no such luck" in str(caught.value)
        assert engine.open_contexts() == 0


async def test_an_unreasonable_retry_after_is_not_waited_for(faults: FaultServer) -> None:
    faults.answer = refuses(429, {"error": "later"}, headers={"retry-after": "3600"})
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match="3600 s"):
            await one(engine)
        assert len(faults.calls) == 1


def test_retry_after_forms() -> None:
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after": "0.5"}) == 0.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    now = 1_700_000_000.0
    assert retry_after({"retry-after": formatdate(now + 30, usegmt=True)}, now=now) == 30.0
    assert retry_after({"retry-after": formatdate(now - 30, usegmt=True)}, now=now) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


async def test_nobody_there() -> None:
    with pytest.raises(EngineConnectionError):
        await RemoteEngine.open("http://127.0.0.1:1/v1#m", api_key_env=None, retries=FAST)


async def lost_at_once(call: Call) -> None:
    call.drop()


async def lost_before_tokens(call: Call) -> None:
    await call.begin_events()
    call.drop()


async def lost_midway(call: Call) -> None:
    await call.begin_events()
    await call.event(piece("he", chat="messages" in call.body))
    await asyncio.sleep(0.05)  # so that the client has read it
    call.drop()


@pytest.mark.parametrize("loss", [lost_at_once, lost_before_tokens])
async def test_a_connection_lost_before_the_first_token_is_tried_again(
    faults: FaultServer, loss: Handler
) -> None:
    faults.script = [loss, says("he", "llo")]
    async with await opened(faults) as engine:
        assert "".join(token.text for token in await streamed(engine)) == "hello"
        assert len(faults.calls) == 2


async def test_a_stream_that_has_shown_tokens_is_never_repeated(faults: FaultServer) -> None:
    faults.script = [lost_midway, says("he", "llo")]
    shown: list[str] = []
    scope = Budget()
    async with await opened(faults) as engine:
        async with await engine.prefill("hi") as context:
            with pytest.raises(EngineConnectionError):
                async for token in engine.stream(context, DRAW, budget=scope):
                    shown.append(token.text)
        assert shown == ["he"] and len(faults.calls) == 1
        assert scope.reserved["tokens"] == 0 and scope.spent["tokens"] > 0


async def test_generate_starts_over_without_duplicate_text_and_counts_the_waste(faults: FaultServer) -> None:
    faults.script = [lost_midway, says("he", "llo", usage=USAGE)]
    scope = Budget()
    async with await opened(faults) as engine:
        async with await engine.prefill("hi") as context:
            [completion] = await engine.generate(context, DRAW, budget=scope)
            completion.context.release()
        assert completion.text == "hello"
        assert completion.usage.discarded_tokens >= 1
        assert completion.usage.critical_path_tokens == 2
        assert scope.spent["tokens"] == completion.usage.prompt_tokens + completion.usage.generated_tokens


# silence


async def hangs_at_once(call: Call) -> None:
    await call.client_left()


async def hangs_midway(call: Call) -> None:
    await call.begin_events()
    await call.event(piece("he", chat=False))
    await call.client_left()


async def test_silence_before_the_first_byte_is_tried_again(faults: FaultServer) -> None:
    faults.script = [hangs_at_once, says("hello")]
    async with await opened(faults, timeout=0.3) as engine:
        assert (await one(engine)).text == "hello"
        assert len(faults.calls) == 2


async def test_silence_inside_a_stream_is_a_typed_error(faults: FaultServer) -> None:
    faults.answer = hangs_midway
    async with await opened(faults, timeout=0.3) as engine:
        with pytest.raises(EngineConnectionError, match="silent"):
            await streamed(engine)
        assert len(faults.calls) == 1


async def test_a_deadline_ends_a_silent_request(faults: FaultServer) -> None:
    faults.answer = hangs_midway
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        with pytest.raises(BudgetExceededError):
            await engine.generate(context, DRAW, budget=Budget(seconds=0.3))


async def test_closing_the_engine_ends_work_in_progress(faults: FaultServer) -> None:
    faults.answer = hangs_midway
    engine = await opened(faults)
    context = await engine.prefill("hi")
    work = asyncio.create_task(engine.generate(context, DRAW))
    await faults.called.wait()
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await work
    assert not work.cancelled() and engine.open_contexts() == 0


# what comes over the wire


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_characters_split_across_chunks(faults: FaultServer, size: int) -> None:
    text = 'Zürich 東京 😀 "quoted"\n'

    async def handler(call: Call) -> None:
        events = b": keep-alive\r\n\r\nevent: message\r\n"
        for part in (text[:9], text[9:]):
            events += (
                b"data: " + json.dumps(piece(part, chat=False), ensure_ascii=False).encode() + b"\r\n\r\n"
            )
        # One event over several data lines, as the standard allows.
        last = json.dumps(piece("", chat=False, finish="stop"), indent=1)
        events += b"".join(b"data: " + line.encode() + b"\n" for line in last.splitlines()) + b"\n"
        await call.begin_events()
        for data in in_pieces(events, size):
            await call.send(data)
        await call.finish()

    faults.answer = handler
    async with await opened(faults) as engine:
        assert (await one(engine)).text == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"data: {not json\n\n", "not JSON"),
        (b'data: {"choices": [{"index": "first", "text": 7}]}\n\n', "unknown shape"),
        (b'data: {"error": {"message": "out of memory"}}\n\n', "out of memory"),
        (b'data: {"error": "out of memory"}\n\n', "out of memory"),
        (b'data: {"choices": [{"index": 3, "text": "x"}]}\n\n', "choice 3"),
        (b"data: [DONE]\n\n", "no choices"),
    ],
)
async def test_malformed_events_are_typed_errors(faults: FaultServer, data: bytes, message: str) -> None:
    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.send(data)
        await call.finish(done=False)

    faults.answer = handler
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match=message):
            await streamed(engine)
        assert len(faults.calls) == 1 and engine.open_contexts() == 0


async def test_an_overload_inside_the_stream_is_tried_again(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.event({"error": {"message": "overloaded", "code": 503}})
        await call.finish()

    faults.script = [handler, says("hello")]
    async with await opened(faults) as engine:
        assert (await one(engine)).text == "hello"


async def test_a_server_that_does_not_stream(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        await call.json({"choices": [choice], "usage": USAGE})

    faults.answer = handler
    async with await opened(faults) as engine:
        completion = await one(engine, chat=True)
        assert (completion.text, completion.finish_reason, completion.usage.prompt_tokens) == (
            "hello",
            "length",
            5,
        )


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


async def test_html_instead_of_json(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await call.text("<html>proxy login</html>", content_type="text/html")

    faults.answer = handler
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match="not JSON"):
            await one(engine)


# n


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


async def test_one_failing_branch_fails_the_call_and_stops_the_others(faults: FaultServer) -> None:
    faults.script = [refuses(400, {"error": "bad luck"})]
    faults.answer = hangs_midway
    async with await opened(faults, capabilities={"seed"}) as engine, await engine.prefill("hi") as context:
        with pytest.raises(EngineResponseError, match="bad luck"):
            await engine.generate(context, SamplingParams(n=3, temperature=1.0))
        assert engine.open_contexts() == 1


# concurrency and cancellation


async def test_no_more_requests_at_once_than_allowed(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await asyncio.sleep(0.02)
        await says("x")(call)

    faults.answer = handler
    async with (
        await opened(faults, concurrency=3, capabilities={"seed"}) as engine,
        await engine.prefill("hi") as context,
    ):
        drawn = await engine.generate(context, SamplingParams(n=12, temperature=1.0))
        for completion in drawn:
            completion.context.release()
        assert faults.most_at_work == 3 and len(faults.calls) == 12


async def test_connections_are_used_again(faults: FaultServer) -> None:
    faults.answer = says("he", "llo")
    async with await opened(faults) as engine:
        for _ in range(3):
            await one(engine)
        await streamed(engine)
        assert len(faults.calls) == 4 and faults.connections == 1


@pytest.mark.parametrize("way", ["cancel", "close"])
async def test_giving_up_closes_the_connection(faults: FaultServer, way: str) -> None:
    left = asyncio.Event()

    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.event(piece("he", chat=False))
        await call.client_left()
        left.set()

    faults.answer = handler
    scope = Budget()
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        if way == "cancel":
            work = asyncio.create_task(engine.generate(context, DRAW, budget=scope))
            await faults.called.wait()
            await asyncio.sleep(0.05)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        else:
            async with aclosing(engine.stream(context, DRAW, budget=scope)) as tokens:
                async for _ in tokens:
                    break
        await asyncio.wait_for(left.wait(), 5)
        assert scope.reserved == {"tokens": 0, "calls": 0}
        assert scope.spent["calls"] == 1 and scope.spent["tokens"] >= 1
        assert engine.open_contexts() == 1


async def test_closing_a_stream_of_several_requests_closes_them_all(faults: FaultServer) -> None:
    left: asyncio.Queue[None] = asyncio.Queue()

    async def handler(call: Call) -> None:
        await call.begin_events()
        await call.event(piece("he", chat=False))
        await call.client_left()
        left.put_nowait(None)

    faults.answer = handler
    scope = Budget()
    async with await opened(faults, capabilities={"seed"}) as engine, await engine.prefill("hi") as context:
        seen: set[int] = set()
        params = SamplingParams(n=3, temperature=1.0)
        async with aclosing(engine.stream(context, params, budget=scope)) as tokens:
            async for token in tokens:
                seen.add(token.index)
                if seen == {0, 1, 2}:
                    break
        async with asyncio.timeout(5):
            for _ in range(3):
                await left.get()
        assert scope.reserved == {"tokens": 0, "calls": 0} and scope.spent["calls"] == 3


# stop strings


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


# log-probabilities


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


async def test_score_reads_the_echo(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        assert call.body["echo"] is True and call.body["prompt"] == "one two three"
        found = {
            "tokens": ["<s>", "one", " tw", "o th", "ree", " four"],
            "token_logprobs": [None, -1.0, -2.0, -3.0, -4.0, -9.0],
        }
        await call.json({"choices": [{"index": 0, "text": "", "logprobs": found}], "usage": USAGE})

    faults.answer = handler
    async with (
        await opened(faults, capabilities={"prompt_logprobs"}) as engine,
        await engine.prefill("one two") as context,
    ):
        assert await engine.score(context, " three") == [-3.0, -4.0]
        assert await engine.score(context, "") == []
        faults.answer = refuses(200, {"choices": [{"index": 0, "text": "x", "logprobs": None}]})
        with pytest.raises(CapabilityError):
            await engine.score(context, " three")
        assert "prompt_logprobs" not in engine.capabilities


# what is sent, and refusals


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


# usage and budget


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


# the key


def everything_said(error: BaseException) -> str:
    """All texts of an error, of those behind it, and its printed traceback."""
    said = traceback.format_exception(error)
    behind: BaseException | None = error
    while behind is not None:
        said += [str(behind), repr(behind), repr(behind.args)]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(said)


def locals_of_the_engine(error: BaseException) -> str:
    """What a debugger, or a traceback with local variables, would show of the engine's own frames."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if "/tests/" not in frame.filename]
    assert frames
    return "\n".join(f"{frame.name} {frame.locals}" for frame in frames)


async def test_the_key_is_sent_and_appears_nowhere(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def torn(padding: int) -> Handler:
        async def handler(call: Call) -> None:
            await call.begin_events()
            await call.send(f"data: {'x' * padding} {KEY}\n\n".encode())
            await call.finish()

        return handler

    bad: list[Handler] = [
        refuses(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}),
        refuses(400, {"error": {"message": f"{KEY} {KEY}"}}),
        refuses(400, {"error": {"message": "x" * 495 + KEY}}),
        torn(1),
        torn(295),
        torn(495),
        lost_at_once,
    ]
    team = "hidden-team-token"
    retries = RetryPolicy(max_retries=0)
    async with await opened(
        faults, api_key_env="MY_KEY", headers={"x-team": team}, retries=retries
    ) as engine:
        for handler in bad:
            faults.answer = handler
            with pytest.raises(EngineError) as caught:
                await one(engine)
            said.append(everything_said(caught.value))
        said.append(locals_of_the_engine(caught.value))
        client = vars(engine)["_client"]
        said += [
            repr(engine),
            repr(engine.info),
            repr(vars(engine)),
            repr(vars(client)),
            repr(vars(vars(client)["_http"])),
        ]
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in faults.calls)
    assert all(call.headers["x-team"] == team for call in faults.calls)
    assert len(caplog.records) > 0, "httpx logs at this level"
    for text in [*said, *(record.getMessage() for record in caplog.records)]:
        assert KEY[:10] not in text


async def test_keys_that_are_missing_or_in_the_address(
    monkeypatch: pytest.MonkeyPatch, faults: FaultServer
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InvalidParamsError, match="MY_KEY"):
        await opened(faults, api_key_env="MY_KEY")
    with pytest.raises(EngineURIError) as caught:
        await RemoteEngine.open(f"http://me:{KEY}@127.0.0.1/v1#m")
    assert KEY not in str(caught.value)


# addresses


async def test_models_of_the_server(faults: FaultServer) -> None:
    faults.models = [{"id": "only", "max_model_len": 64}]
    async with await RemoteEngine.open(faults.url, api_key_env=None) as engine:
        assert (engine.info.model, engine.info.max_context) == ("only", 64)
        async with await engine.prefill("hi") as context:
            with pytest.raises(ContextLengthError):
                await engine.generate(context, SamplingParams(max_tokens=64))
    faults.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(EngineURIError, match="a, b"):
        await RemoteEngine.open(faults.url, api_key_env=None)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8000/v1#m", "ftp://host/v1#m", "http:///v1#m", "http://[::1/v1#m"]
)
async def test_unreadable_addresses(address: str) -> None:
    with pytest.raises(EngineURIError, match="expected http"):
        await RemoteEngine.open(address)
