"""Storms of operations on tiny memories: whatever happens, the books are right and only memory is short."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from braid.engine import Completion, Context, EngineError, InvalidParamsError, SamplingParams
from braid.engine.errors import ContextReleasedError
from braid.engine.local import LocalEngine
from braid.engine.local.kv import OutOfKV
from braid.engine.local.scheduler.chunk_size import ChunkSizer
from tests.support.tiny_models import build_model

SMALL = st.integers(0, 7)
OPERATION = st.one_of(
    st.tuples(st.just("prefill"), SMALL, st.integers(1, 120)),
    st.tuples(st.just("extend"), SMALL, st.integers(1, 30)),
    st.tuples(st.just("cut"), SMALL, st.integers(1, 150)),
    st.tuples(st.just("generate"), SMALL, st.integers(1, 6), st.integers(1, 60)),
    st.tuples(st.just("score"), SMALL, st.integers(1, 30)),
    st.tuples(st.just("join"), SMALL, SMALL, SMALL),
    st.tuples(st.just("fork_and_join"), SMALL, st.integers(2, 4), st.integers(1, 20)),
    st.tuples(st.just("release"), SMALL),
    st.tuples(st.just("cancel"), SMALL, st.integers(1, 6), st.integers(0, 3)),
)
STORM = st.lists(st.lists(OPERATION, min_size=1, max_size=4), min_size=2, max_size=20)
"""Rounds. The operations of a round run side by side."""


class Storm:
    """Runs rounds of operations on an engine. `contexts` are open."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.contexts: list[Context] = []

    async def run(self, rounds: list[list[tuple[Any, ...]]]) -> None:
        for operations in rounds:
            async with asyncio.TaskGroup() as group:
                for operation in operations:
                    group.create_task(self.tried(operation))
            self.engine.check_integrity()
            assert self.engine.kv_bytes() <= self.engine._pool.limit_bytes
        for context in self.contexts:
            context.release()
        self.engine.check_integrity()
        assert self.engine.open_contexts() == 0
        self.engine.forget()
        assert self.engine.kv_bytes() == 0

    async def tried(self, operation: tuple[Any, ...]) -> None:
        """Run an operation. Memory may be short, and another one may release the context that it uses."""
        with contextlib.suppress(OutOfKV, ContextReleasedError):
            try:
                await self.one(operation)
            except InvalidParamsError as error:
                assert error.param == "n", "completions without room are refused at once"

    async def one(self, operation: tuple[Any, ...]) -> None:
        engine, (kind, *rest) = self.engine, operation
        if kind == "prefill":
            start, length = rest
            self.add(await engine.prefill([(7 * i * i + 3 * i + start) % 380 + 2 for i in range(length)]))
        if kind == "prefill" or not self.contexts:
            return
        context = self.pick(rest[0])
        params: dict[str, Any] = {"ignore_eos": True, "temperature": 1.0, "seed": 1}
        match operation:
            case ("extend", _, length):
                self.add(await engine.extend(context, " K2" * length))
            case ("cut", _, length):
                self.add(await engine.cut(context, min(length, context.token_count)))
            case ("generate", _, n, tokens):
                self.add(await engine.generate(context, SamplingParams(n=n, max_tokens=tokens, **params)))
            case ("score", _, length):
                assert len(await engine.score(context, " K2" * length)) >= length
            case ("join", _, *others):
                parts = [self.pick(other) for other in others]
                parts = [each for each in parts if self.continues(each, context)] or [context]
                self.add(await engine.join(context, parts, how="kv"))
            case ("fork_and_join", _, n, tokens):
                completions = await engine.generate(context, SamplingParams(n=n, max_tokens=tokens, **params))
                parts = [completion.context for completion in completions]
                try:
                    self.add(await engine.join(context, parts, how="kv"))
                finally:
                    for part in parts:
                        part.release()
            case ("cancel", _, n, turns):
                work = engine.generate(context, SamplingParams(n=n, max_tokens=60, **params))
                task = asyncio.ensure_future(work)
                for _ in range(turns):
                    await asyncio.sleep(0.0005)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    self.add(await task)
            case _:
                if context in self.contexts and len(self.contexts) > 1:
                    self.contexts.remove(context)
                    await asyncio.sleep(0)
                    context.release()

    def pick(self, index: int) -> Context:
        return self.contexts[index % len(self.contexts)]

    def continues(self, part: Any, context: Any) -> bool:
        return part.token_ids[: len(context.token_ids)] == context.token_ids

    def add(self, given: Context | list[Completion]) -> None:
        self.contexts += [each.context for each in given] if isinstance(given, list) else [given]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One engine for all storms, on a loop that outlives the examples."""
    with asyncio.Runner() as runner:
        folder = build_model(tmp_path_factory.mktemp("storm"), "llama", context=1024)
        engine = runner.run(LocalEngine.load(folder, threads=1, chunk_tokens=16))
        yield runner, engine
        runner.run(engine.close())


def check_storm(shared, tokens: int, keep: int, chunk: int, rounds: list[list[tuple[Any, ...]]]) -> None:
    runner, engine = shared
    pool = engine._pool
    engine.forget()
    pool.limit_bytes, pool.keep_bytes = pool.bytes_of(tokens), pool.bytes_of(keep)
    engine._scheduler._chunk_sizer = ChunkSizer(chunk)
    storm = Storm(engine)
    try:
        runner.run(asyncio.wait_for(storm.run(rounds), 60))
    finally:
        for context in storm.contexts:
            context.release()
        with contextlib.suppress(EngineError):
            runner.run(engine.prefill([1, 2])).release()


@example(96, 0, 1, [[("prefill", 0, 82)], [("prefill", 1, 2), ("cut", 0, 1)]])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(16, 700), st.integers(0, 300), st.sampled_from([1, 7, 16, 64]), STORM)
def test_a_storm_on_a_tiny_memory_keeps_the_books(shared, tokens, keep, chunk, rounds):
    check_storm(shared, tokens, keep, chunk, rounds)


@pytest.mark.long
@pytest.mark.timeout(3000)
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(16, 700), st.integers(0, 300), st.sampled_from([1, 7, 16, 64]), STORM)
def test_a_long_storm_on_a_tiny_memory_keeps_the_books(shared, tokens, keep, chunk, rounds):
    check_storm(shared, tokens, keep, chunk, rounds)
