"""The local engine under hostile use: cancellation anywhere, closing, several loops, very long prompts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time

import pytest

from braid.engine import Completion, Context, ContextLengthError, EngineError, SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine

PROMPT = "The height of K2 is 8611 metres, and Mont Blanc"


def sampled(tokens: int, **changes) -> SamplingParams:
    return SamplingParams(**{"max_tokens": tokens, "ignore_eos": True, **changes})


@pytest.fixture
async def engine(tiny_model):
    async with await LocalEngine.load(tiny_model("llama"), threads=1, chunk_tokens=32) as engine:
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


async def test_a_very_long_prompt_does_not_hold_up_the_loop(engine):
    """Two megabytes take more than a second to tokenize. The loop goes on meanwhile."""
    gaps: list[float] = []
    taken: list[float] = []

    async def watch() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    text = (PROMPT + "\n") * 42_000
    async with await engine.prefill(PROMPT) as context:
        watching = asyncio.create_task(watch())
        for work in (
            engine.prefill(text),
            engine.prefill([{"role": "user", "content": text}]),
            engine.extend(context, text),
            engine.score(context, text),
        ):
            start = time.perf_counter()
            with pytest.raises(ContextLengthError):
                await work
            taken.append(time.perf_counter() - start)
        watching.cancel()
    assert max(gaps) < max(taken) / 2, "the loop stood still while a text was read"
    assert len(gaps) > 100


async def test_closing_tells_everybody_who_waits(tiny_model):
    async with await LocalEngine.load(tiny_model("llama"), threads=1, chunk_tokens=8) as engine:
        context = await engine.prefill(PROMPT)
        parts = [c.context for c in await engine.generate(context, sampled(3, n=4))]
        errors: list[BaseException] = []
        running = asyncio.Semaphore(0)

        async def expect_error(work) -> None:
            try:
                outcome = await work
            except EngineError as error:
                errors.append(error)
            else:
                for made in outcome if isinstance(outcome, list) else [outcome]:
                    (made.context if isinstance(made, Completion) else made).release()

        async def stream() -> None:
            async with contextlib.aclosing(engine.stream(context, sampled(200))) as tokens:
                async for _ in tokens:
                    running.release()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(expect_error(stream()))
            for _ in range(16):
                await running.acquire()
            group.create_task(expect_error(engine.generate(context, sampled(150, n=3))))
            group.create_task(expect_error(engine.prefill(PROMPT * 3)))
            group.create_task(expect_error(engine.join(context, parts, how="kv")))
            group.create_task(expect_error(engine.score(context, PROMPT)))
            await asyncio.sleep(0)
            await engine.close()
        assert len(errors) >= 17
        assert all("closed" in str(error) for error in errors)
        for each in (context, *parts):
            each.release()
        assert engine.open_contexts() == 0
        engine.check_integrity()


async def test_one_engine_serves_several_event_loops(engine):
    async def work() -> list[tuple[int, ...]]:
        async with await engine.prefill(PROMPT) as context:
            completions = released(await engine.generate(context, sampled(20, n=3, seed=5)))
            return [completion.token_ids for completion in completions]

    expected = await work()
    found: list[list[tuple[int, ...]]] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(work()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert await work() == expected
    for thread in threads:
        await asyncio.to_thread(thread.join, 60)
    assert found == [expected] * 3


async def test_cancelling_twice_loses_nothing(engine):
    """A second cancellation comes while the first one waits for the worker to let go."""
    async with await engine.prefill(PROMPT) as context:
        parts = [c.context for c in await engine.generate(context, sampled(3, n=3))]
        idle = engine.kv_bytes()
        for turn in range(30):
            task = asyncio.create_task(
                engine.join(context, parts, how="kv")  # reads the last tokens of three parts
                if turn % 2
                else engine.generate(context, sampled(20, n=4))
            )
            for _ in range(turn // 6):
                await asyncio.sleep(0.0005)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                given = await task
                (released(given) if isinstance(given, list) else given.release())
        for part in parts:
            part.release()
        (await engine.prefill("and now something else")).release()  # all that was cancelled is out by now
        engine.forget()
        assert engine.kv_bytes() <= idle


@pytest.mark.parametrize("requests", [200, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
async def test_random_requests_with_cancellation_keep_the_books(tiny_model, requests):
    """Eight callers at once, little memory. The books are checked after every request."""
    rng = random.Random(7)
    left = requests
    counts = {"done": 0, "cancelled": 0, "no room": 0}
    async with await LocalEngine.load(
        tiny_model("llama"), threads=1, chunk_tokens=16, memory_bytes=600_000, cache_bytes=100_000
    ) as engine:
        root = await engine.prefill(PROMPT)

        async def one(choice: float) -> None:
            prompt = PROMPT[: rng.randrange(5, 40)] + str(rng.randrange(30))
            if choice < 0.3:
                async with await engine.prefill(prompt) as context:
                    await engine.score(context, " metres")
            elif choice < 0.6:
                stop = ("e",) if rng.random() < 0.5 else ()
                released(await engine.generate(root, sampled(rng.randrange(1, 40), n=3, stop=stop)))
            elif choice < 0.8:
                async with contextlib.aclosing(engine.stream(root, sampled(30, n=2))) as tokens:
                    async for _ in tokens:
                        if rng.random() < 0.1:
                            break
            else:
                completions = await engine.generate(root, sampled(rng.randrange(1, 20), n=3))
                parts: list[Context] = [completion.context for completion in completions]
                try:
                    async with await engine.join(root, parts, how="kv") as joined:
                        released(await engine.generate(joined, sampled(5)))
                finally:
                    for part in parts:
                        part.release()

        async def caller() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                task = asyncio.create_task(one(rng.random()))
                if rng.random() < 0.4:
                    await asyncio.sleep(rng.random() * 0.03)
                    task.cancel()
                try:
                    await task
                    counts["done"] += 1
                except asyncio.CancelledError:
                    counts["cancelled"] += 1
                except EngineError as error:
                    assert "no room" in str(error)
                    counts["no room"] += 1
                engine.check_integrity()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller())
        root.release()
        assert engine.open_contexts() == 0
        engine.check_integrity()
    assert counts["done"] > requests // 4 and counts["cancelled"] > requests // 20
    assert counts["no room"] <= requests // 10


@pytest.mark.parametrize("half", [chr(0xD835), chr(0xDCFF), chr(0xDC00), "\udc00\ud835"])
async def test_halves_of_characters_are_mended_in_every_text(engine, half):
    broken, mended = f"half {half} pair", f"half {chr(0xFFFD) * len(half)} pair"
    for prompt in (broken, [{"role": "user", "content": broken}]):
        async with await engine.prefill(prompt) as context:
            assert mended in context.text
            async with await engine.extend(context, broken) as longer:
                assert longer.text.endswith(mended)
            assert await engine.score(context, broken) == await engine.score(context, mended)
