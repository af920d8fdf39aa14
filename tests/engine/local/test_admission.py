"""Which requests run side by side: as many as are expected to fit, and none that cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from braid.engine import Budget, Completion, InvalidParamsError, SamplingParams
from braid.engine.conformance.base import released, stream_all
from braid.engine.local import LocalEngine
from tests.support.tiny_models import build_model

CONTEXT = 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return build_model(tmp_path_factory.mktemp("admission"), "llama", context=2 * CONTEXT)


@pytest.fixture
async def engine(folder):
    async with await LocalEngine.load(folder, threads=1) as engine:
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


def limit(engine: LocalEngine, tokens: int) -> None:
    engine._pool.limit_bytes = engine._pool.bytes_of(tokens)


def ids(start: int, length: int) -> list[int]:
    return [(7 * i * i + 3 * i + start) % 380 + 2 for i in range(length)]


def sampled(**changes) -> SamplingParams:
    return SamplingParams(
        **{"temperature": 100.0, "max_tokens": 200, "ignore_eos": True, "seed": 1, **changes}
    )


def short(tokens: int, **changes) -> SamplingParams:
    """Completions that usually end after so many tokens, although they may have many more."""
    return sampled(max_tokens=400, stop_token_ids=tuple(range(384 // tokens)), **changes)


async def chat(engine: LocalEngine, number: int, params: SamplingParams) -> list[Completion]:
    async with await engine.prefill(ids(number, 40)) as context:
        return released(await engine.generate(context, params))


@pytest.mark.parametrize(("count", "usual", "n"), [(24, 7, 1), (24, 4, 1), (48, 10, 1), (12, 5, 2)])
async def test_completions_that_end_early_run_side_by_side(engine, count, usual, n):
    """Without max_tokens each may fill its context, of which the pool holds three."""
    params = [short(usual, seed=number, n=n) for number in range(count)]
    alone = [[each.token_ids for each in await chat(engine, i, p)] for i, p in enumerate(params)]
    limit(engine, 3 * CONTEXT)
    engine.forget()
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(engine._scheduler._running.sequences))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(chat(engine, i, p)) for i, p in enumerate(params)]
    watching.cancel()
    assert most >= 8
    assert [[each.token_ids for each in task.result()] for task in tasks] == alone


async def test_completions_that_are_longer_than_expected_all_end(engine):
    """All of them fill their contexts, of which only three fit."""
    params = [sampled(max_tokens=400, stop_token_ids=(0,), seed=number) for number in range(12)]
    alone = [[each.token_ids for each in await chat(engine, i, p)] for i, p in enumerate(params)]
    limit(engine, 3 * CONTEXT)
    engine.forget()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(chat(engine, i, p)) for i, p in enumerate(params)]
    assert [[each.token_ids for each in task.result()] for task in tasks] == alone


@pytest.mark.parametrize(
    ("memory", "prompt", "n", "tokens"),
    [(1000, 40, 8, 200), (900, 480, 3, 200), (600, 500, 2, 60), (320, 299, 1, 50)],
)
async def test_completions_without_room_are_refused_at_once(engine, memory, prompt, n, tokens):
    limit(engine, memory)
    if n == 1:
        tokens = memory - prompt + 20
    scope = Budget()
    async with await engine.prefill(ids(0, prompt)) as context:
        steps = engine.stats().steps
        params = sampled(n=n, max_tokens=tokens)
        with pytest.raises(InvalidParamsError, match="no room") as caught:
            await engine.generate(context, params, budget=scope)
        assert caught.value.param == "n"
        with pytest.raises(InvalidParamsError, match="no room"):
            await stream_all(engine, context, params)
        assert engine.stats().steps == steps and scope.spent["tokens"] == 0
        # A smaller one runs.
        assert len(released(await engine.generate(context, sampled(max_tokens=1)))) == 1


@pytest.mark.parametrize(
    ("memory", "prompt", "n", "tokens"),
    [(1000, 40, 8, 200), (700, 100, 4, 300), (560, 300, 16, 100), (500, 20, 3, 400)],
)
async def test_completions_that_may_end_early_take_turns(engine, memory, prompt, n, tokens):
    """They do not, and there is no room for all: what ended gives its KV up."""
    params = sampled(n=n, max_tokens=tokens, ignore_eos=False)
    async with await engine.prefill(ids(0, prompt)) as context:
        expected = [each.token_ids for each in released(await engine.generate(context, params))]
    engine.forget()
    limit(engine, memory)
    async with await engine.prefill(ids(0, prompt)) as context:
        completions = await engine.generate(context, params)
        assert [each.token_ids for each in completions] == expected
        assert engine.kv_bytes() <= engine._pool.limit_bytes
        [more] = released(await engine.generate(completions[-1].context, sampled(max_tokens=5)))
        assert len(more.token_ids) == 5
        released(completions)


@pytest.mark.parametrize(
    ("memory", "prompt", "tokens"), [(500, 40, 420), (420, 300, 100), (540, 200, 300), (100, 1, 90)]
)
async def test_one_completion_may_fill_the_memory(engine, memory, prompt, tokens):
    """Moving what was read into larger tensors would take more room than there is."""
    limit(engine, memory)
    async with await engine.prefill(ids(0, prompt)) as context:
        [one] = released(await engine.generate(context, sampled(max_tokens=tokens)))
        assert len(one.token_ids) == tokens
