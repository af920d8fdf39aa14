"""The local engine when something fails: only the requests concerned fail, and what they held is freed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from braid.engine import EngineError, SamplingParams
from braid.engine.conformance.base import released, stream_all
from braid.engine.local import LocalEngine
from braid.engine.local.model.grammar import TokenMasks
from braid.engine.local.model.lean import LeanDecoder
from braid.engine.local.scheduler.request import GenerateRequest
from braid.engine.scope.priority import use_priority
from braid.engine.server import ServerLimits
from braid.engine.server.generation import Generation
from braid.engine.server.requests import read_request

PROMPT = "The height of K2 is 8611 metres, and Mont Blanc"


def sampled(tokens: int, **changes) -> SamplingParams:
    return SamplingParams(**{"max_tokens": tokens, "ignore_eos": True, **changes})


@pytest.fixture
async def engine(tiny_model):
    async with await LocalEngine.load(tiny_model("llama"), threads=1, chunk_tokens=32) as engine:
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


async def test_a_lean_path_that_differs_or_fails_is_not_used(tiny_model, monkeypatch):
    plain = LeanDecoder.forward

    def wrong(*args):
        return plain(*args) * 1.1

    def failing(*args):
        raise RuntimeError("a shape is not as expected")

    for forward in (wrong, failing):
        monkeypatch.setattr(LeanDecoder, "forward", forward)
        async with await LocalEngine.load(tiny_model("llama"), threads=1) as engine:
            assert engine.info.details["path"] == "transformers"
            async with await engine.prefill(PROMPT) as context:
                assert len(released(await engine.generate(context, sampled(3)))[0].token_ids) == 3


async def test_an_unknown_device_is_named(tiny_model):
    with pytest.raises(EngineError, match="'nowhere'"):
        await LocalEngine.load(tiny_model("llama"), device="nowhere")


async def test_a_failing_step_is_told_as_an_engine_error_and_the_engine_goes_on(engine, monkeypatch):
    async with await engine.prefill(PROMPT) as context:

        def failing(*args):
            raise MemoryError("no room on the device")

        with monkeypatch.context() as patch:
            patch.setattr(engine._model, "forward", failing)
            with pytest.raises(EngineError, match="no room on the device"):
                await engine.generate(context, sampled(5, n=3))
        assert len(released(await engine.generate(context, sampled(5, n=3)))) == 3


async def test_a_grammar_that_fails_ends_its_own_request_only(engine, monkeypatch):
    pytest.importorskip("llguidance")
    mask, calls = TokenMasks._mask, 0

    def too_complex(self, branch):
        nonlocal calls
        calls += 1
        if calls > 6:
            raise EngineError("the grammar cannot be followed any further")
        return mask(self, branch)

    monkeypatch.setattr(TokenMasks, "_mask", too_complex)
    async with await engine.prefill(PROMPT) as context:
        expected = released(await engine.generate(context, sampled(30, n=2, seed=1)))
        beside = asyncio.create_task(engine.generate(context, sampled(30, n=2, seed=1)))
        with pytest.raises(EngineError, match="any further"):
            await engine.generate(context, SamplingParams(grammar="[a-z]{100}", max_tokens=50, n=2))
        assert [c.token_ids for c in released(await beside)] == [c.token_ids for c in expected]


@pytest.mark.parametrize("place", ["_mask", "advance"])
@pytest.mark.parametrize("after", [1, 2, 7])
@pytest.mark.parametrize("stop", [(), ("zzz",)])
async def test_a_branch_whose_grammar_fails_ends_alone(engine, monkeypatch, place, after, stop):
    """With what it has. The others are what they are without it."""
    pytest.importorskip("llguidance")
    plain, calls = getattr(TokenMasks, place), 0

    def failing(self, *args):
        nonlocal calls
        calls += args[-1] == 1
        if args[-1] == 1 and calls >= after:
            raise EngineError("the grammar cannot be followed any further")
        return plain(self, *args)

    given = SamplingParams(grammar="[a-z]{100}", max_tokens=20, n=3, seed=1, stop=stop, logprobs=1)
    async with await engine.prefill(PROMPT) as context:
        expected = released(await engine.generate(context, given))
        monkeypatch.setattr(TokenMasks, place, failing)
        found = await engine.generate(context, given)
        engine.check_integrity()
        assert [each.token_ids for each in found[::2]] == [each.token_ids for each in expected[::2]]
        one = found[1]
        assert one.finish_reason == "length" and one.token_ids == expected[1].token_ids[: after - 1]
        assert expected[1].text.startswith(one.text) and one.context.text == context.text + one.text
        assert len(one.logprobs or ()) == after - 1
        released(found)
        calls = 0
        pieces = [token for token in await stream_all(engine, context, given) if token.index == 1]
        assert "".join(token.text for token in pieces) == one.text
        assert pieces[-1].finish_reason == "length" and pieces[-1].usage.generated_tokens == after - 1


async def test_loops_that_close_in_the_middle_leave_nothing_behind(engine):
    """A loop that is stopped while its requests run takes no results. Other loops notice nothing."""
    async with await engine.prefill(PROMPT) as context:
        expected = released(await engine.generate(context, sampled(100, seed=1)))[0].token_ids
        idle = engine._pool.locked_bytes

        def abandoned() -> None:
            loop = asyncio.new_event_loop()

            async def start() -> None:
                stream = engine.stream(context, sampled(60, n=2))
                await anext(stream)
                tasks.append(asyncio.ensure_future(engine.generate(context, sampled(60, n=2))))
                streams.append(stream)
                await asyncio.sleep(0)

            tasks: list[asyncio.Future] = []
            streams: list = []
            loop.run_until_complete(start())
            loop.close()
            kept.append((tasks, streams))

        kept: list = []
        thread = threading.Thread(target=abandoned)
        thread.start()
        [beside] = released(await engine.generate(context, sampled(100, seed=1)))
        assert beside.token_ids == expected
        await asyncio.to_thread(thread.join, 30)
        async with asyncio.timeout(20):
            while engine._scheduler.busy:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert engine._pool.locked_bytes == idle
        for tasks, _ in kept:
            for task in tasks:
                task._log_destroy_pending = False


async def test_branches_that_wait_for_room_end_together(engine, monkeypatch):
    """Branches that were preempted fit later, or their request ends once, with the reason."""
    pool = engine._pool
    monkeypatch.setattr(GenerateRequest, "num_future_tokens", lambda self, sequence, usual: 0)
    outcomes = set()
    async with await engine.prefill(PROMPT) as context:
        for tokens in range(60, 400, 8):
            engine.forget()
            pool.limit_bytes = pool.locked_bytes + pool.bytes_of(tokens)
            try:
                outcomes.add(len(released(await engine.generate(context, sampled(60, n=3)))))
            except EngineError as error:
                assert "no room" in str(error)
                outcomes.add("no room")
            engine.check_integrity()
    assert outcomes == {3, "no room"} and engine.stats().preempted


async def test_what_waits_longer_overtakes_what_is_more_urgent(engine):
    """Prompts that are a little more urgent arrive all the time. The other one is read all the same."""
    done = asyncio.Event()

    async def busy(start: int) -> None:
        number = start
        while not done.is_set():
            number += 1
            with use_priority(0.2):
                (await engine.prefill([(number * i * i + i) % 370 + 2 for i in range(200)])).release()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for start in (0, 1000, 2000):
            group.create_task(busy(start))
        await asyncio.sleep(0)
        (await engine.prefill([(3 * i * i + 5 * i) % 370 + 2 for i in range(200)])).release()
        done.set()


async def test_a_prompt_that_an_urgent_request_waits_for_becomes_urgent(tiny_model):
    """Otherwise whatever lies between the two would go first."""
    shared = [(7 * i * i + 3 * i) % 370 + 2 for i in range(120)]
    order: list[str] = []

    async with await LocalEngine.load(tiny_model("llama"), threads=1, chunk_tokens=2) as engine:

        async def read(name: str, priority: float, ids: list[int]) -> None:
            with use_priority(priority):
                (await engine.prefill(ids)).release()
            order.append(name)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(read("low", -100.0, shared))
            while engine.stats().prefilled == 0:  # noqa: ASYNC110
                await asyncio.sleep(0)
            group.create_task(read("high", 100.0, [*shared, 5, 6]))
            group.create_task(read("middle", 0.0, [9, *shared[::-1]]))
    assert order.index("high") < order.index("middle")


async def test_decodes_go_on_while_a_long_prompt_is_read(engine):
    async with await engine.prefill("one") as context:
        stream = engine.stream(context, sampled(200))
        await anext(stream)
        before = engine.stats()
        prompt = [(11 * i * i + i) % 370 + 2 for i in range(240)]
        reading = asyncio.create_task(engine.prefill(prompt))
        while not reading.done():
            if await anext(stream, None) is None:
                break
        (await reading).release()
        after = engine.stats()
        await stream.aclose()
    assert after.decoded - before.decoded >= 239 // 32


async def test_kv_is_given_up_in_the_order_of_its_last_use(engine):
    prompts = [[first, *range(20, 60)] for first in (2, 3, 4)]
    for ids in (*prompts, prompts[0]):
        (await engine.prefill(ids)).release()
    engine._pool.limit_bytes = engine.kv_bytes() + engine._pool.bytes_of(1)
    (
        await engine.prefill([5, *range(20, 60)])
    ).release()  # in place of the second, which was used the longest ago
    engine._pool.limit_bytes = 1 << 30
    reused = []
    for ids in prompts:
        async with await engine.prefill(ids) as context:
            reused.append(context.usage.cached_tokens > 0)
    assert reused == [True, False, True]


async def test_what_is_noted_of_idle_kv_does_not_grow_with_every_request(engine):
    for _ in range(300):
        (await engine.prefill(PROMPT)).release()
    assert len(engine._pool._idle) < 150


async def test_a_reader_that_goes_away_leaves_no_completions_open(engine):
    body = b'{"model": "tiny", "prompt": ["one", "two"], "n": 8, "max_tokens": 20, "ignore_eos": true}'
    request = read_request("completions", body, model="tiny", limits=ServerLimits())
    async with Generation(engine, request, ServerLimits()) as generation:
        tokens = generation.tokens()
        await anext(tokens)
        await tokens.aclose()
        assert engine.open_contexts() == 2  # the two prompts
