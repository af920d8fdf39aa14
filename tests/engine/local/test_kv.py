"""Shared KV against references that share nothing: transformers' generate, forwards with explicit masks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from braid.engine import Context, EngineError, SamplingParams
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine
from braid.engine.local.kv.pool import OutOfKV
from braid.engine.local.scheduler.request import GenerateRequest
from braid.engine.scope.priority import use_priority
from tests.support.architectures import (
    ARCHITECTURES,
    UNEVEN,
    Placed,
    build_architecture,
    generate_ids,
    partings,
    placed_logits,
    reference_model,
)

PROMPT = [(7 * i * i + 3 * i) % 380 + 2 for i in range(70)]


def greedy(tokens: int, **changes) -> SamplingParams:
    return SamplingParams(**{"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True, **changes})


@pytest.fixture(scope="session")
def architecture(tmp_path_factory) -> Callable[..., Path]:
    built: dict[tuple, Path] = {}

    def get(name: str, **changes) -> Path:
        key = (name, *changes.items())
        if key not in built:
            built[key] = build_architecture(tmp_path_factory.mktemp(name), name, **changes)
        return built[key]

    return get


@contextlib.asynccontextmanager
async def opened(folder: Path, **options):
    """An engine whose books are checked at the end."""
    async with await LocalEngine.load(folder, **{"threads": 1, **options}) as engine:
        yield engine
        engine.check_integrity()
        assert engine.open_contexts() == 0


async def complete(engine: LocalEngine, ids: list[int], tokens: int) -> list[int]:
    async with await engine.prefill(ids) as context:
        [completion] = released(await engine.generate(context, greedy(tokens)))
        return list(completion.token_ids)


QUICK = ["deepseek_v3", "gemma3n", "gemma4", "llama4", "afmoe", "stablelm"]
"""One of each kind. The others take part in long runs."""


@pytest.mark.parametrize(
    ("name", "fast"),
    [
        *((name, True) for name in (*ARCHITECTURES, *QUICK)),
        *((name, False) for name in ("llama", "qwen2", "qwen3", "mistral_window")),  # those with a lean path
        *(pytest.param(name, True, marks=pytest.mark.long) for name in UNEVEN if name not in QUICK),
    ],
)
async def test_greedy_tokens_equal_generate(architecture, name, fast, capsys):
    """Alone, in a mixed batch with shared prefixes and chunked prefill, and forked in the middle."""
    folder = architecture(name)
    model = reference_model(folder)
    prompts = [PROMPT, PROMPT[:40], [*PROMPT[:40], 9, 8, 7], PROMPT + PROMPT[::-1][:30], [5]]
    expected = [generate_ids(model, ids, 24) for ids in prompts]
    parted = 0
    async with opened(folder, fast=fast, chunk_tokens=16) as engine:
        if not fast and engine.info.details["path"] != "transformers":
            raise AssertionError("fast=False must leave transformers' modules")
        parted += partings(model, prompts[0], expected[0], await complete(engine, prompts[0], 24))
        engine.forget()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(complete(engine, ids, 24)) for ids in prompts]
        for ids, reference, task in zip(prompts, expected, tasks, strict=True):
            parted += partings(model, ids, reference, task.result())
        async with await engine.prefill(PROMPT) as context:
            [first] = await engine.generate(context, greedy(10))
            async with first.context:
                for fork in released(await engine.generate(first.context, greedy(14, n=3))):
                    parted += partings(model, PROMPT, expected[0], [*first.token_ids, *fork.token_ids])
    with capsys.disabled():
        print(f"[{name}: {parted} partings at near ties]", end=" ")  # noqa: T201


@pytest.mark.parametrize("name", ["llama", "gpt2"])
async def test_preempted_sequences_go_on_where_they_were(architecture, name, monkeypatch):
    folder = architecture(name)
    model = reference_model(folder)
    prompts = [[i + 2, *PROMPT[:30]] for i in range(6)]
    async with opened(folder) as engine:
        token = engine._pool.geometry.token_bytes
        engine._pool.limit_bytes = 300 * token  # six times 91 tokens do not fit
        monkeypatch.setattr(
            GenerateRequest, "num_future_tokens", lambda self, sequence, usual: 0
        )  # and nobody counts on it
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(complete(engine, ids, 60)) for ids in prompts]
        assert engine.stats().preempted > 0
        for ids, task in zip(prompts, tasks, strict=True):
            partings(model, ids, generate_ids(model, ids, 60), task.result())


async def test_siblings_share_a_prefix_that_is_still_being_read(architecture):
    async with opened(architecture("llama"), chunk_tokens=16) as engine:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(engine.prefill([*PROMPT, i, i, i])) for i in range(8)]
        contexts = [task.result() for task in tasks]
        # The shared part is computed once. Each of the others adds two tokens, and leaves one unread.
        assert engine.stats().prefilled == len(PROMPT) + 8 * 2
        assert sum(context.usage.cached_tokens for context in contexts) == 7 * len(PROMPT)
        for context in contexts:
            context.release()


async def test_a_fork_copies_nothing_and_forks_of_forks_share(architecture):
    async with opened(architecture("llama")) as engine, await engine.prefill(PROMPT) as context:
        before = engine.kv_bytes()
        completions = await engine.generate(context, greedy(1, n=200, temperature=1.0))
        assert engine.kv_bytes() == before
        released(completions)


async def test_memory_is_limited_and_idle_contexts_are_read_again(architecture):
    folder = architecture("llama")
    model = reference_model(folder)
    async with opened(folder, memory_bytes=120_000, cache_bytes=120_000) as engine:
        contexts = [await engine.prefill([i + 2, *PROMPT[:50]]) for i in range(8)]
        assert engine.kv_bytes() <= 120_000
        for i, context in enumerate(contexts):
            [completion] = released(await engine.generate(context, greedy(8)))
            assert engine.kv_bytes() <= 120_000
            partings(
                model, context.token_ids, generate_ids(model, [i + 2, *PROMPT[:50]], 8), completion.token_ids
            )
            engine.check_integrity()
        with pytest.raises(EngineError, match="memory_bytes"):
            await engine.prefill(PROMPT * 6)
        for context in contexts:
            context.release()


async def test_long_generations_leave_the_arena(architecture):
    """More tokens than a tail holds, side by side."""
    folder = architecture("llama")
    model = reference_model(folder)
    async with opened(folder) as engine, await engine.prefill(PROMPT) as context:
        one, two = released(await engine.generate(context, greedy(400, n=2)))
        expected = generate_ids(model, PROMPT, 400)
        partings(model, PROMPT, expected, one.token_ids)
        partings(model, PROMPT, expected, two.token_ids)


async def test_urgent_requests_go_first_and_the_others_do_not_starve(architecture):
    order: list[str] = []
    async with opened(architecture("llama"), chunk_tokens=8) as engine:

        async def read(name: str, priority: float, first: int) -> None:
            with use_priority(priority):
                (await engine.prefill([first, *PROMPT])).release()
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for name, priority, first in (("low", -100.0, 2), ("middle", 0.0, 3), ("high", 100.0, 4)):
                group.create_task(read(name, priority, first))
    assert order == ["high", "middle", "low"]


@pytest.mark.parametrize(
    "name", ["llama", "qwen3", "gpt2", "gemma2", "gpt_neox", "mistral_window", "gpt_oss"]
)
async def test_a_kv_join_equals_one_forward_with_an_explicit_mask(architecture, name):
    folder = architecture(name)
    model = reference_model(folder)
    async with opened(folder, chunk_tokens=16) as engine, await engine.prefill(PROMPT[:30]) as context:
        layout = chain([], PROMPT[:30])
        branches = []
        for seed, tokens in ((1, 9), (2, 3), (3, 14)):
            [one] = await engine.generate(context, greedy(tokens, temperature=1.0, seed=seed))
            branches.append((one.context, chain(layout, one.token_ids)))
        async with await engine.join(context, [c for c, _ in branches], how="kv") as joined:
            expected = join_layout(layout, [b for _, b in branches])
            assert list(joined.token_ids) == [token.id for token in expected]
            await same_continuation(engine, model, joined, expected)
            async with await engine.extend(joined, " and K2") as longer:
                more = chain(expected, longer.token_ids[joined.token_count :])
                await same_continuation(engine, model, longer, more)
            async with await engine.cut(joined, joined.token_count - 8) as shorter:
                await same_continuation(engine, model, shorter, cut_layout(expected, joined.token_count - 8))
        for branch, _ in branches:
            branch.release()


@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt_neox"])
async def test_shifted_references_equal_one_forward(architecture, name):
    """With one layer, keys depend on their token alone, so one forward with shifted positions is exact."""
    folder = architecture(name, num_hidden_layers=1)
    model = reference_model(folder)
    async with opened(folder) as engine, await engine.prefill(PROMPT[:20]) as context:
        parts = [(await engine.generate(context, greedy(6, temperature=1.0, seed=s)))[0] for s in (1, 2, 3)]
        async with await engine.join(
            context, [p.context for p in parts], how="kv", positions="sequence"
        ) as joined:
            expected = chain([], joined.token_ids)  # as if everything had been written in a row
            await same_continuation(engine, model, joined, expected)
        for part in parts:
            part.context.release()


async def test_positions_of_models_without_rotation_are_not_shifted(architecture):
    async with opened(architecture("gpt2")) as engine, await engine.prefill(PROMPT[:20]) as context:
        [part] = await engine.generate(context, greedy(3))
        async with part.context:
            with pytest.raises(EngineError, match="rotary"):
                await engine.join(context, [part.context], how="kv", positions="sequence")


async def test_temperature_and_scale_follow_their_formula(architecture):
    """Adaptive parallel encoding with one layer, against softmaxes written out."""
    folder = architecture("llama", num_hidden_layers=1)
    model = reference_model(folder)
    temperature, scale = 0.8, 0.9
    async with opened(folder) as engine, await engine.prefill(PROMPT[:12]) as context:
        layout = chain([], PROMPT[:12])
        parts = [(await engine.generate(context, greedy(5, temperature=1.0, seed=s)))[0] for s in (1, 2)]
        async with await engine.join(
            context, [p.context for p in parts], how="kv", temperature=temperature, scale=scale
        ) as joined:
            [one] = released(await engine.generate(joined, greedy(1, logprobs=5)))
            tokens = join_layout(layout, [chain(layout, p.token_ids) for p in parts])
        for part in parts:
            part.context.release()
    attention, config = model.model.layers[0].self_attn, model.config
    with torch.no_grad():
        x = model.model.embed_tokens(torch.tensor([[token.id for token in tokens]]))
        normed = model.model.layers[0].input_layernorm(x)
        positions = torch.tensor([[token.position for token in tokens]])
        cos, sin = model.model.rotary_emb(x, positions)

        def turned(projected: torch.Tensor) -> torch.Tensor:
            states = projected.view(len(tokens), -1, config.head_dim)
            half = torch.cat([-states[..., config.head_dim // 2 :], states[..., : config.head_dim // 2]], -1)
            return states * cos[0][:, None] + half * sin[0][:, None]

        q, k = turned(attention.q_proj(normed[0]))[-1], turned(attention.k_proj(normed[0]))
        v = attention.v_proj(normed[0]).view(len(tokens), -1, config.head_dim)
        group = config.num_attention_heads // config.num_key_value_heads
        outs = []
        for head in range(config.num_attention_heads):
            scores = k[:, head // group] @ q[head] / config.head_dim**0.5
            inside = slice(12, len(tokens) - 1)
            apart = [*range(12), len(tokens) - 1]
            far = scores[inside] / temperature
            far_weight = scale * temperature * torch.logsumexp(far, 0)
            near_weight = torch.logsumexp(scores[apart], 0)
            share = torch.softmax(torch.stack([far_weight, near_weight]), 0)
            outs.append(
                share[0] * torch.softmax(far, 0) @ v[inside, head // group]
                + share[1] * torch.softmax(scores[apart], 0) @ v[apart, head // group]
            )
        layer = model.model.layers[0]
        hidden = x[0, -1] + attention.o_proj(torch.cat(outs))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        expected = torch.log_softmax(model.lm_head(model.model.norm(hidden)), -1)
    top = torch.topk(expected, 5).values.tolist()
    assert [value for _, value in one.top_logprobs[0]] == pytest.approx(top, abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.7},
        {"presence_penalty": 1.5},
        {"frequency_penalty": 0.7},
        {"logit_bias": {11: 5.0, 12: -100.0}},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_penalties_follow_their_definitions(architecture, options):
    folder = architecture("llama")
    model = reference_model(folder)
    async with opened(folder) as engine, await engine.prefill(PROMPT) as context:
        [completion] = released(await engine.generate(context, greedy(20, **options)))
    ids, written = list(PROMPT), []
    for token in completion.token_ids:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        for seen in set(ids):
            value = logits[seen]
            penalty = options.get("repetition_penalty", 1.0)
            logits[seen] = value / penalty if value > 0 else value * penalty
        for seen in set(written):
            logits[seen] -= options.get("presence_penalty", 0.0)
            logits[seen] -= options.get("frequency_penalty", 0.0) * written.count(seen)
        for seen, bias in options.get("logit_bias", {}).items():
            logits[seen] += bias
        assert logits.max() - logits[token] <= 1e-4
        ids.append(token)
        written.append(token)


# Layouts: what the context of any program is, by definition.


def chain(layout: list[Placed], ids) -> list[Placed]:
    """`layout` continued by `token_ids`, each of which sees everything before it."""
    made = list(layout)
    for token in ids:
        position = max((other.position for other in made), default=-1) + 1
        made.append(Placed(token, position, tuple(made)))
    return made


def join_layout(base: list[Placed], parts: list[list[Placed]]) -> list[Placed]:
    """The parts side by side. The last token of the last one is read after the join."""
    added = [part for part in parts if len(part) > len(base)]
    if sum(len(part) - len(base) for part in added) < 2:
        return chain(base, [token.id for part in added for token in part[len(base) :]])
    seen = list(base)
    for part in [*added[:-1], added[-1][:-1]]:
        seen += copies(part[len(base) :])
    return chain(seen, [added[-1][-1].id])


def copies(tokens: list[Placed]) -> list[Placed]:
    """The same tokens once more: what is joined twice is attended twice."""
    made: dict[Placed, Placed] = {}
    for token in tokens:
        made[token] = Placed(token.id, token.position, tuple(made.get(other, other) for other in token.sees))
    return list(made.values())


def cut_layout(layout: list[Placed], length: int) -> list[Placed]:
    """The last token is read again, which makes a difference in the middle of a join."""
    return chain(layout[: length - 1], [layout[length - 1].id])


async def same_continuation(
    engine: LocalEngine, model, context, layout: list[Placed], tokens: int = 5
) -> None:
    """The engine's greedy continuation is the reference's, and has its log-probabilities."""
    [one] = released(await engine.generate(context, greedy(tokens, logprobs=0)))
    whole = chain(layout, one.token_ids)
    logprobs = torch.log_softmax(placed_logits(model, whole)[len(layout) - 1 : -1], -1)
    for row, token, value in zip(logprobs, one.token_ids, one.logprobs, strict=True):
        assert row.max() - row[token] <= 1e-4
        assert value == pytest.approx(float(row[token]), abs=2e-4)


STEP = st.one_of(
    st.tuples(st.just("generate"), st.integers(0, 9), st.integers(1, 3), st.integers(1, 6)),
    st.tuples(st.just("extend"), st.integers(0, 9), st.sampled_from([" K2", " and", "é", "\n"])),
    st.tuples(st.just("cut"), st.integers(0, 9), st.integers(1, 40)),
    st.tuples(
        st.just("join"),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["text", "kv"]),
    ),
    st.tuples(st.just("prefill"), st.sampled_from(["one", "one two", "The height", "The height of K2"])),
    st.tuples(st.just("score"), st.integers(0, 9), st.sampled_from([" K2", " one two three"])),
    st.tuples(st.just("together"), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9), st.integers(0, 4)),
    st.tuples(
        st.just("cancel_join"),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["text", "kv"]),
        st.integers(0, 2),
    ),
    st.tuples(st.just("release"), st.integers(0, 9)),
)


@pytest.fixture(scope="module", params=[2_000_000, 150_000], ids=["roomy", "tight"])
def shared(architecture, request):
    """One engine for all programs, on a loop that outlives the examples, and the reference.

    The tight one evicts, preempts, and sometimes has no room.
    """
    with asyncio.Runner() as runner:
        folder = architecture("llama")
        options = {"threads": 1, "cache_bytes": 60_000, "memory_bytes": request.param, "chunk_tokens": 8}
        engine = runner.run(LocalEngine.load(folder, **options))
        yield runner, engine, reference_model(folder), request.param
        runner.run(engine.close())


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@example(program=[("generate", 0, 1, 1), ("generate", 0, 1, 3), ("join", 0, 2, 2, "kv")])
@given(program=st.lists(STEP, min_size=3, max_size=12))
def test_any_program_keeps_the_books_and_gives_what_no_sharing_gives(shared, program):
    check_program(shared, program)


@pytest.mark.long
@pytest.mark.timeout(3000)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=st.lists(STEP, min_size=3, max_size=25))
def test_any_long_program_keeps_the_books_and_gives_what_no_sharing_gives(shared, program):
    check_program(shared, program)


def check_program(shared, program: list[tuple]) -> None:
    runner, engine, model, limit = shared
    runner.run(Program(engine, model, limit).run(program))
    assert engine.open_contexts() == 0


class Program:
    """Runs steps on the engine, and knows by definition what each context is."""

    def __init__(self, engine: LocalEngine, model, limit: int) -> None:
        self.engine = engine
        self.model = model
        self.limit = limit
        self.contexts: list[tuple] = []

    async def run(self, program: list[tuple]) -> None:
        for step in [("prefill", "one two three"), *program]:
            if self.contexts or step[0] == "prefill":
                with self.room():
                    await self.step(step)
            self.engine.check_integrity()
            assert self.engine.kv_bytes() <= self.limit
        for context, layout in self.contexts:
            async with context:
                assert list(context.token_ids) == [token.id for token in layout]
                with self.room():
                    await same_continuation(self.engine, self.model, context, layout, tokens=3)
        self.engine.check_integrity()

    @contextlib.contextmanager
    def room(self):
        """Where memory is tight there may be none: KV of joins and of contexts in use is not evicted."""
        try:
            yield
        except* OutOfKV:
            assert self.limit < 1_000_000

    def pick(self, index: int) -> tuple:
        return self.contexts[index % len(self.contexts)]

    def add(self, context, layout: list[Placed], since: int) -> None:
        self.contexts.append((context, chain(layout, context.token_ids[since:])))

    async def step(self, step: tuple) -> None:
        engine = self.engine
        match step:
            case ("prefill", text):
                self.add(await engine.prefill(text), [], 0)
            case ("generate", index, n, tokens):
                context, layout = self.pick(index)
                params = greedy(tokens, n=n, temperature=1.0, seed=tokens, stop=("o",))
                for completion in await engine.generate(context, params):
                    self.add(completion.context, layout, context.token_count)
            case ("extend", index, text):
                context, layout = self.pick(index)
                self.add(await engine.extend(context, text), layout, context.token_count)
            case ("cut", index, length):
                context, layout = self.pick(index)
                length = min(length, context.token_count)
                self.contexts.append((await engine.cut(context, length), cut_layout(layout, length)))
            case ("join", index, one, two, how):
                context, layout = self.pick(index)
                parts = self.parts(index, one, two)
                joined = await self.join(index, parts, how)
                if how == "text":
                    self.add(joined, layout, context.token_count)
                else:
                    self.contexts.append((joined, join_layout(layout, [part for _, part in parts])))
            case ("score", index, text):
                context, layout = self.pick(index)
                scores = await engine.score(context, text)
                whole = chain(layout, engine.encode(text))
                rows = torch.log_softmax(placed_logits(self.model, whole)[len(layout) - 1 : -1], -1)
                expected = [
                    float(row[token.id]) for row, token in zip(rows, whole[len(layout) :], strict=True)
                ]
                assert scores == pytest.approx(expected, abs=2e-4)
            case ("together", *indexes):
                async with asyncio.TaskGroup() as group:
                    for index in indexes:
                        group.create_task(same_continuation(engine, self.model, *self.pick(index), tokens=20))
            case ("cancel", index, turns):
                params = greedy(60, n=3, temperature=1.0)
                await self.cancelled(engine.generate(self.pick(index)[0], params), turns)
            case ("cancel_join", index, one, how, turns):
                await self.cancelled(self.join(index, self.parts(index, one, one + 1), how), turns)
            case ("release", index):
                self.contexts.pop(index % len(self.contexts))[0].release()

    def parts(self, index: int, *indexes: int) -> list[tuple]:
        context, layout = self.pick(index)
        parts = [self.pick(each) for each in indexes]
        return [p for p in parts if p[1][: len(layout)] == layout or p[0] is context] or [(context, layout)]

    async def join(self, index: int, parts: list[tuple], how):
        separator = ", " if how == "text" else ""
        return await self.engine.join(
            self.pick(index)[0], [context for context, _ in parts], how=how, separator=separator
        )

    async def cancelled(self, work, turns: int) -> None:
        """Begin something, and cancel it after a while. What it gives all the same is released."""
        task = asyncio.create_task(work)
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            given = await task
            for context in [given] if isinstance(given, Context) else [each.context for each in given]:
                context.release()
