"""Requests to a server that fails in every way that servers fail. Loopback only, every wait is bounded."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
import traceback
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from braid.engine import (
    Budget,
    BudgetExceededError,
    CapabilityError,
    EngineConnectionError,
    EngineError,
    EngineResponseError,
    SamplingParams,
)
from braid.engine.remote import RemoteEngine
from braid.engine.remote.client import RetryPolicy
from tests.support.fault_server import Call, FaultServer, Handler, in_pieces, piece, refuses, says
from tests.support.remote_engine import DRAW, FAST, KEY, USAGE, one, opened, streamed


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
        with pytest.raises(EngineResponseError, match="3600 s") as caught:
            await one(engine)
        assert len(faults.calls) == 1
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "0.02"}, 0.02),
        ({"retry-after-ms": "30"}, 0.03),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_error_says_how_long_the_server_asks_to_wait(
    faults: FaultServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    faults.answer = refuses(status, {"error": "busy"}, headers=headers)
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError) as caught:
            await one(engine)
    assert (caught.value.status, caught.value.retry_after) == (status, seconds)
    assert len(faults.calls) == 4


async def test_a_date_far_ahead_is_not_waited_for(faults: FaultServer) -> None:
    when = email.utils.format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    faults.answer = refuses(503, {"error": "maintenance"}, headers={"retry-after": when})
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match="90 s allowed") as caught:
            await one(engine)
    assert caught.value.retry_after == pytest.approx(7200, abs=10)
    assert len(faults.calls) == 1


async def test_a_wait_beyond_the_deadline_is_not_begun(faults: FaultServer) -> None:
    faults.answer = refuses(429, {"error": "later"}, headers={"retry-after": "30"})
    scope = Budget(seconds=10)
    begun = time.monotonic()
    async with await opened(faults) as engine, await engine.prefill("hi") as context:
        with pytest.raises(EngineResponseError, match="30 s, more than the 9") as caught:
            await engine.generate(context, DRAW, budget=scope)
    assert caught.value.retry_after == 30 and time.monotonic() - begun < 5
    assert scope.reserved == {"tokens": 0, "calls": 0}


async def test_a_wait_can_be_cancelled_and_holds_no_slot(faults: FaultServer) -> None:
    faults.script = [refuses(429, {"error": "later"}, headers={"retry-after": "30"}), says("hello")]
    scope = Budget()
    async with await opened(faults, concurrency=1) as engine, await engine.prefill("hi") as context:
        waiting = asyncio.create_task(engine.generate(context, DRAW, budget=scope))
        await faults.called.wait()
        async with asyncio.timeout(5):
            assert (await one(engine)).text == "hello"
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert scope.reserved == {"tokens": 0, "calls": 0} and engine.open_contexts() == 1


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


async def test_html_instead_of_json(faults: FaultServer) -> None:
    async def handler(call: Call) -> None:
        await call.text("<html>proxy login</html>", content_type="text/html")

    faults.answer = handler
    async with await opened(faults) as engine:
        with pytest.raises(EngineResponseError, match="not JSON"):
            await one(engine)


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


async def test_one_failing_branch_fails_the_call_and_stops_the_others(faults: FaultServer) -> None:
    faults.script = [refuses(400, {"error": "bad luck"})]
    faults.answer = hangs_midway
    async with await opened(faults, capabilities={"seed"}) as engine, await engine.prefill("hi") as context:
        with pytest.raises(EngineResponseError, match="bad luck"):
            await engine.generate(context, SamplingParams(n=3, temperature=1.0))
        assert engine.open_contexts() == 1
