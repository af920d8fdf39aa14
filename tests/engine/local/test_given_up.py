"""Contexts whose KV was given up: whatever continues them reads it again, in as many chunks as it takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from braid.engine import Context, SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine
from tests.support.tiny_models import build_model

MEMORY = 900
TEXT = " one two three"


def ids(start: int, length: int = 480) -> list[int]:
    return [(7 * i * i + 3 * i + start) % 380 + 2 for i in range(length)]


def sampled(tokens: int, **changes) -> SamplingParams:
    return SamplingParams(**{"max_tokens": tokens, "ignore_eos": True, "seed": 1, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return build_model(tmp_path_factory.mktemp("given-up"), "llama", context=2048)


@pytest.fixture
async def engine(folder):
    """Room for 900 tokens, so that one of two contexts of 480 is given up."""
    async with await LocalEngine.load(folder, threads=1, chunk_tokens=64) as engine:
        engine._pool.limit_bytes = engine._pool.bytes_of(MEMORY)
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


async def outcome(engine: LocalEngine, context: Context, what: str, length: int = 480):
    """What an operation on `context` gives, as something that can be compared."""
    match what:
        case "score":
            return await engine.score(context, TEXT)
        case "generate":
            [one] = released(await engine.generate(context, sampled(8)))
            return one.token_ids
        case "fork":
            return [each.token_ids for each in released(await engine.generate(context, sampled(8, n=3)))]
        case "extend":
            async with await engine.extend(context, TEXT) as longer:
                return await engine.score(longer, TEXT)
        case "cut":
            async with await engine.cut(context, length - 100) as shorter:
                return await engine.score(shorter, TEXT)
        case _:
            parts = [each.context for each in await engine.generate(context, sampled(4, n=2))]
            try:
                async with await engine.join(context, parts, how="kv") as joined:
                    [one] = released(await engine.generate(joined, sampled(4, temperature=0.0)))
                    return joined.token_ids, one.token_ids
            finally:
                for part in parts:
                    part.release()


OPERATIONS = ["score", "generate", "fork", "extend", "cut", "join"]


@pytest.mark.parametrize("what", OPERATIONS)
async def test_what_was_given_up_is_read_again(engine, folder, what):
    async with await LocalEngine.load(folder, threads=1) as roomy, await roomy.prefill(ids(0)) as context:
        expected = await outcome(roomy, context, what)
    async with await engine.prefill(ids(0)) as first, await engine.prefill(ids(5)):
        assert first.num_computed_tokens == 0, "the first one was given up"
        given = await outcome(engine, first, what)
        scores = what in ("score", "extend", "cut")
        assert given == (pytest.approx(expected, abs=1e-3) if scores else expected)


async def test_a_score_of_what_was_given_up_ends_nobody_else(engine):
    async with await engine.prefill(ids(0)) as first, await engine.prefill(ids(5)) as second:
        expected = released(await engine.generate(second, sampled(30)))[0].token_ids
        first_again = await engine.prefill(ids(9, 300))  # takes the room of the first one
        first_again.release()
        async with asyncio.TaskGroup() as group:
            beside = group.create_task(engine.generate(second, sampled(30)))
            scores = group.create_task(engine.score(first, TEXT))
        assert [each.token_ids for each in released(beside.result())] == [expected]
        assert len(scores.result()) >= 3


@pytest.mark.parametrize("length", [64, 65, 128, 300])
async def test_scores_over_several_chunks(engine, length):
    """Whole chunks that need no logits, alone in their steps."""
    async with await engine.prefill(ids(0, length)) as context:
        expected = await engine.score(context, TEXT)
        (await engine.prefill(ids(5, 800))).release()
        engine.forget()
        assert context.num_computed_tokens == 0 or length < 100
        assert await engine.score(context, TEXT) == pytest.approx(expected, abs=1e-3)
