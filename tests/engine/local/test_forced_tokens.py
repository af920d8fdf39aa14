"""Tokens that a grammar forces: they take no step of their own, and change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from braid.engine import Budget, Completion, Grammar, SamplingParams, Token
from braid.engine.conformance.base import stream_all
from braid.engine.local import LocalEngine
from tests.support.tiny_models import Family, build_model

pytest.importorskip("llguidance")

TinyModel = Callable[[Family], Path]

# Every second token of it is forced, and choices stand between them.
CHOICES = Grammar(
    "lark", 'start: ("<" /[ab]/ "=" /[0-9]/ "=" ">" "(" "(" "[" /[xy]/ "]" ")" ")" ";"){1,6} "." '
)
SENTENCE = r"(yes|no): [0-9]{1,3}%\n\(\[\{\}\]\)"
GRAMMARS: Sequence[Grammar | str] = (CHOICES, SENTENCE, "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~")
PROMPT = "The height of K2 is"


@asynccontextmanager
async def engines(folder: Path, **options: Any) -> AsyncIterator[tuple[LocalEngine, LocalEngine]]:
    """The same model, with forced tokens and without."""
    async with (
        await LocalEngine.load(folder, threads=1, **options) as forcing,
        await LocalEngine.load(folder, threads=1, row_tokens=1, **options) as plain,
    ):
        yield forcing, plain
        for engine in (forcing, plain):
            assert engine.open_contexts() == 0
            engine.check_integrity()


def outcome(completion: Completion) -> tuple[Any, ...]:
    """All that a completion says, and how long its context is."""
    with_text = (completion.text, completion.token_ids, completion.finish_reason, completion.stop_hit)
    told = (*with_text, completion.usage, completion.index, completion.logprobs, completion.top_logprobs)
    context = completion.context
    return (*told, context.token_count, context.text, context.critical_path_tokens)


async def complete(
    engine: LocalEngine, params: SamplingParams, prompt: str = PROMPT
) -> list[tuple[Any, ...]]:
    async with await engine.prefill(prompt) as context:
        completions = await engine.generate(context, params)
        try:
            return [outcome(completion) for completion in completions]
        finally:
            for completion in completions:
                completion.context.release()


def asked(index: int) -> SamplingParams:
    """Many kinds of requests: greedy and sampled, penalties, limits and stop strings, one and several."""
    params = SamplingParams(
        n=(1, 3, 1, 5)[index % 4],
        grammar=GRAMMARS[index % 3],
        seed=index,
        temperature=(0.0, 1.0, 2.0)[index // 2 % 3],
        top_p=(1.0, 0.9)[index // 3 % 2],
        max_tokens=(200, 7, 23)[index // 5 % 3],
        stop=((), ("=>",), (")",), ("~~~~~",))[index // 7 % 4],
    )
    if index % 6 == 5:
        params = replace(params, repetition_penalty=1.3, frequency_penalty=0.4, presence_penalty=0.2)
    return params


@pytest.mark.parametrize(("family", "count"), [("llama", 24), ("qwen3", 8), ("gpt2", 8)])
async def test_nothing_changes_alone_or_in_a_batch(tiny_model: TinyModel, family: Family, count: int) -> None:
    async with engines(tiny_model(family)) as (forcing, plain):
        requests = [asked(index) for index in range(count)]
        expected = [await complete(plain, params) for params in requests]
        assert [await complete(forcing, params) for params in requests] == expected
        for first in range(0, count, 8):
            batch = requests[first : first + 8]
            async with asyncio.TaskGroup() as group:
                free = replace(batch[0], grammar=None, max_tokens=12, stop=())
                beside = group.create_task(complete(forcing, free, PROMPT + " about" * 30))
                tasks = [group.create_task(complete(forcing, params)) for params in batch]
            assert [task.result() for task in tasks] == expected[first : first + 8]
            assert beside.result()
        assert forcing.stats().forced > 100 and plain.stats().forced == 0


async def test_forced_tokens_take_no_steps(tiny_model: TinyModel) -> None:
    async with engines(tiny_model("llama")) as (forcing, plain):
        params = SamplingParams(grammar="~" * 40, max_tokens=200, temperature=1.0, seed=1)
        assert await complete(forcing, params) == await complete(plain, params)
        assert plain.stats().steps > 2.5 * forcing.stats().steps


async def test_a_long_tail_becomes_a_segment_in_the_middle_of_a_row(tmp_path: Path) -> None:
    grammar = Grammar("lark", 'start: (/[a-y]/ "=" "=" "=" "="){70}')
    params = SamplingParams(n=2, grammar=grammar, max_tokens=350, temperature=1.0, seed=4)
    async with engines(build_model(tmp_path, "llama", context=512)) as (forcing, plain):
        assert await complete(forcing, params) == await complete(plain, params)


async def test_little_memory(tiny_model: TinyModel) -> None:
    """Sequences are stopped in the middle and read again."""
    async with engines(tiny_model("llama"), cache_bytes=0) as (_, plain):
        requests = [replace(asked(3 * index), n=4, stop=(), max_tokens=90) for index in range(8)]
        expected = [await complete(plain, params) for params in requests]
        room = plain.kv_peak_bytes() + 1  # for one of them at a time
    async with engines(tiny_model("llama"), cache_bytes=0, memory_bytes=room) as (forcing, _):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(complete(forcing, params)) for params in requests]
        assert [task.result() for task in tasks] == expected
        assert forcing.stats().preempted > 0


@pytest.mark.parametrize("index", range(6))
async def test_streams_show_the_same_tokens(tiny_model: TinyModel, index: int) -> None:
    params = asked(index)
    async with engines(tiny_model("llama")) as (forcing, plain):
        shown: list[list[list[Token]]] = []
        for engine in (forcing, plain):
            async with await engine.prefill(PROMPT) as context:
                tokens = await stream_all(engine, context, params)
            shown.append([[token for token in tokens if token.index == at] for at in range(params.n)])
        assert shown[0] == shown[1]


async def test_log_probabilities_are_the_models_own(tiny_model: TinyModel) -> None:
    params = SamplingParams(grammar=CHOICES, max_tokens=60, seed=2, temperature=1.0, logprobs=2)
    async with engines(tiny_model("llama")) as (forcing, plain):
        assert await complete(forcing, params) == await complete(plain, params)


async def test_contexts_go_on_behind_forced_tokens(tiny_model: TinyModel) -> None:
    """The KV of the last tokens is missing then, and is computed when it is needed."""
    end = SamplingParams(grammar="(yes|no)!=!=!=", temperature=1.0, seed=3, n=2, max_tokens=40)
    more = SamplingParams(max_tokens=8, temperature=1.0, seed=5)
    async with engines(tiny_model("llama")) as pair:
        found: list[list[str]] = []
        for engine in pair:
            async with AsyncExitStack() as stack:
                context = await stack.enter_async_context(await engine.prefill(PROMPT))
                found.append([])
                for completion in await engine.generate(context, end):
                    await stack.enter_async_context(completion.context)
                    [after] = await engine.generate(completion.context, more)
                    after.context.release()
                    found[-1].append(completion.text + after.text)
        assert found[0] == found[1]


async def test_budgets_are_charged_alike(tiny_model: TinyModel) -> None:
    async with engines(tiny_model("llama")) as pair:
        used: list[dict[str, float]] = []
        for engine in pair:
            budget = Budget(tokens=2000)
            async with await engine.prefill(PROMPT, budget=budget) as context:
                params = SamplingParams(grammar=CHOICES, max_tokens=90, seed=2, temperature=1.0)
                [completion] = await engine.generate(context, params, budget=budget)
                completion.context.release()
            used.append(dict(budget.spent))
        assert used[0] == used[1]
