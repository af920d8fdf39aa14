"""The local engine against independent references: transformers' own generate and forward, exact
distributions.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.engine import (
    Budget,
    BudgetExceededError,
    Engine,
    EngineError,
    EngineURIError,
    SamplingParams,
    connect,
)
from braid.engine.conformance.base import released
from braid.engine.local import LocalEngine
from braid.engine.system import processors
from braid.engine.types import branch_seed

PROMPT = "The height of K2 is 8611 metres, and Mont Blanc"
FAMILIES = ["llama", "qwen3", "gpt2"]


def greedy(**changes) -> SamplingParams:
    return SamplingParams(**{"temperature": 0.0, "max_tokens": 24, "ignore_eos": True, **changes})


@pytest.fixture
async def engine(tiny_model):
    async with await LocalEngine.load(tiny_model("llama"), threads=1) as engine:
        yield engine
        assert engine.open_contexts() == 0


def reference(folder: Path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("family", FAMILIES)
async def test_greedy_tokens_equal_transformers_generate(tiny_model, family):
    folder = tiny_model(family)
    async with await LocalEngine.load(folder, threads=1) as engine, await engine.prefill(PROMPT) as context:
        [completion] = released(await engine.generate(context, greedy(max_tokens=40)))
        model = reference(folder)
        model.generation_config.eos_token_id = None
        ids = torch.tensor([context.token_ids])
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=0
        )
        assert list(completion.token_ids) == expected[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
async def test_score_and_logprobs_equal_one_forward(tiny_model, family):
    folder = tiny_model(family)
    async with await LocalEngine.load(folder, threads=1) as engine, await engine.prefill(PROMPT) as context:
        text = " is 4806 metres high, naïve 😀" * 4
        scores = await engine.score(context, text)
        [completion] = released(await engine.generate(context, greedy(logprobs=5, temperature=0.9, seed=1)))
        model = reference(folder)
        for ids, given_scores in (
            (engine.encode(text), scores),
            (completion.token_ids, completion.logprobs),
        ):
            whole = torch.tensor([[*context.token_ids, *ids]])
            with torch.no_grad():
                logprobs = torch.log_softmax(model(whole).logits[0, context.token_count - 1 : -1].float(), -1)
            expected = logprobs.gather(1, torch.tensor(ids)[:, None])[:, 0]
            assert torch.allclose(torch.tensor(given_scores), expected, atol=1e-4)
        for row, best in enumerate(completion.top_logprobs):
            top = torch.topk(logprobs[row], 5)
            assert [value for _, value in best] == pytest.approx(top.values.tolist(), abs=1e-4)
            assert [text for text, _ in best] == [engine.decode([token]) for token in top.indices.tolist()]


async def test_branches_equal_single_runs_with_their_seeds(engine):
    async with await engine.prefill(PROMPT) as context:
        params = greedy(n=6, temperature=1.0, top_p=0.95, seed=42)
        together = released(await engine.generate(context, params))
        assert len({completion.text for completion in together}) > 1
        for index, completion in enumerate(together):
            seed = branch_seed(42, index)
            [alone] = released(await engine.generate(context, greedy(temperature=1.0, top_p=0.95, seed=seed)))
            assert alone.token_ids == completion.token_ids


async def test_results_do_not_depend_on_what_runs_beside(engine):
    async with await engine.prefill(PROMPT) as context, await engine.prefill("one two three") as other:
        params = [greedy(n=2, temperature=1.0, seed=seed, max_tokens=8 + 4 * seed) for seed in range(4)]
        alone = [released(await engine.generate(context, each)) for each in params]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(engine.generate(context, each)) for each in params]
            noise = group.create_task(engine.generate(other, greedy(n=3, temperature=1.0)))
        released(noise.result())
        for task, expected in zip(tasks, alone, strict=True):
            assert [c.token_ids for c in released(task.result())] == [c.token_ids for c in expected]


async def test_unseeded_runs_differ(engine):
    async with await engine.prefill(PROMPT) as context:
        texts = {released(await engine.generate(context, greedy(temperature=1.5)))[0].text for _ in range(3)}
        assert len(texts) > 1


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 2.0},
        {"temperature": 4.0, "top_k": 5},
        {"temperature": 4.0, "top_p": 0.6},
        {"temperature": 4.0, "min_p": 0.3},
    ],
    ids=["temperature", "top_k", "top_p", "min_p"],
)
async def test_sampled_frequencies_follow_the_exact_distribution(tiny_model, options):
    """Chi-square of 4,000 first tokens against a distribution computed here in float64."""
    draws = 4000
    folder = tiny_model("llama")
    async with await LocalEngine.load(folder, threads=1) as engine, await engine.prefill(PROMPT) as context:
        counts: Counter[int] = Counter()
        for start in range(0, draws, 500):
            params = greedy(n=500, max_tokens=1, seed=1000 + start, **options)
            counts.update(c.token_ids[0] for c in released(await engine.generate(context, params)))
        with torch.no_grad():
            logits = reference(folder)(torch.tensor([context.token_ids])).logits[0, -1].double()
    expected = exact_distribution(logits, **options)
    assert all(expected[token] > 0 for token in counts), "a token outside of the truncated set was drawn"
    common = [token for token, p in enumerate(expected) if p * draws >= 5]
    rest = draws - sum(counts[token] for token in common)
    cells = [(counts[token], expected[token] * draws) for token in common]
    cells.append((rest, max(1e-9, draws - sum(e for _, e in cells))) if rest else (0, 1e-9))
    statistic = sum((seen - mean) ** 2 / mean for seen, mean in cells if mean > 1e-6)
    freedom = len(common)
    assert len(common) > 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5 + 4  # about the 1e-4 quantile


def exact_distribution(
    logits: torch.Tensor, *, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> list[float]:
    p = torch.softmax(logits / temperature, -1).tolist()
    order = sorted(range(len(p)), key=lambda token: -p[token])
    kept = set(order[:top_k] if top_k else order)
    if top_p < 1:
        nucleus, mass = set(), 0.0
        for token in order:
            if mass >= top_p:
                break
            nucleus.add(token)
            mass += p[token]
        kept &= nucleus
    kept = {token for token in kept if p[token] >= min_p * p[order[0]]}
    total = sum(p[token] for token in kept)
    return [p[token] / total if token in kept else 0.0 for token in range(len(p))]


async def test_extend_and_prefill_give_the_same(engine):
    async with AsyncExitStack() as stack:
        whole = await stack.enter_async_context(await engine.prefill(PROMPT + " is 4806"))
        start = await stack.enter_async_context(await engine.prefill(PROMPT))
        grown = await stack.enter_async_context(await engine.extend(start, " is 4806"))
        assert grown.text == whole.text
        [one] = released(await engine.generate(whole, greedy()))
        [two] = released(await engine.generate(grown, greedy()))
        if grown.token_ids == whole.token_ids:
            assert one.token_ids == two.token_ids


async def test_reuse_is_counted_and_changes_nothing(tiny_model):
    folder = tiny_model("qwen3")
    async with await LocalEngine.load(folder, threads=1) as warm:
        async with await warm.prefill(PROMPT) as first:
            length = first.token_count
            assert first.usage.prompt_tokens == length and first.usage.cached_tokens == 0
        async with await warm.prefill(PROMPT) as again:  # the first is released: the cache remembers
            assert again.usage.prompt_tokens == length and again.usage.cached_tokens == length - 1
        ids = [*first.token_ids[: length // 2], 40, 41, 42]
        async with await warm.prefill(ids) as branch:
            assert branch.usage.cached_tokens == length // 2
            [reused] = released(await warm.generate(branch, greedy()))
    async with await LocalEngine.load(folder, threads=1, cache_bytes=0) as cold:
        async with await cold.prefill(ids) as branch:
            assert branch.usage.cached_tokens == 0
            [fresh] = released(await cold.generate(branch, greedy()))
        async with await cold.prefill("x"):  # one more request, so that the worker is past the last one
            assert cold.kv_bytes() == 0
    assert reused.token_ids == fresh.token_ids


async def test_cut_then_generate_equals_the_first_time(engine):
    async with await engine.prefill(PROMPT) as context:
        [first] = await engine.generate(context, greedy())
        async with first.context:
            for keep in (1, 10, 24):
                async with await engine.cut(first.context, context.token_count + keep) as back:
                    assert back.token_ids == context.token_ids + first.token_ids[:keep]
                    if keep < 24:
                        [rest] = released(await engine.generate(back, greedy(max_tokens=24 - keep)))
                        assert first.token_ids[keep:] == rest.token_ids


async def test_cache_is_bounded(tiny_model):
    async with await LocalEngine.load(tiny_model("llama"), threads=1, cache_bytes=40_000) as engine:
        for start in range(20):
            async with await engine.prefill([(start * 7 + i * 3) % 300 + 5 for i in range(80)]):
                pass
            assert engine.kv_bytes() <= 40_000


async def test_stop_strings_cut_across_tokens_and_characters(engine):
    """Every substring of a sampled text is found as a stop string, at its first place."""
    async with await engine.prefill("Zürich, 東京, 😀") as context:
        params = greedy(temperature=1.0, seed=3, max_tokens=20)
        [free] = released(await engine.generate(context, params))
        stops = {free.text[at : at + size] for at in range(len(free.text)) for size in (1, 3)}
        for stop in sorted(stops):
            [cut] = await engine.generate(
                context, greedy(temperature=1.0, seed=3, max_tokens=20, stop=(stop,))
            )
            async with cut.context:
                if "\ufffd" in stop:
                    continue  # a torn character becomes whole when more bytes come
                assert cut.text == free.text[: free.text.index(stop)]
                assert cut.stop_hit == stop and cut.finish_reason == "stop"
                assert cut.usage.generated_tokens <= free.usage.generated_tokens
                assert cut.context.text == context.text + cut.text
                streamed = [
                    token
                    async for token in engine.stream(
                        context, greedy(temperature=1.0, seed=3, max_tokens=20, stop=(stop,))
                    )
                ]
                assert "".join(token.text for token in streamed) == cut.text
                assert streamed[-1].stop_hit == stop
                async with (
                    await engine.extend(cut.context, "!") as on,
                    await engine.prefill(on.token_ids) as same,
                ):
                    one = released(await engine.generate(on, greedy(max_tokens=4)))
                    two = released(await engine.generate(same, greedy(max_tokens=4)))
                    assert one[0].token_ids == two[0].token_ids


async def test_multi_byte_characters_are_never_torn(engine):
    """Feeds the bytes of known text through the decoder one token at a time."""
    from braid.engine.local.model.tokenizer import Detokenizer

    text = "naïve café 東京 😀👩‍👧 Kraków"
    for ids in (engine.encode(text), [engine.encode(c)[0] for c in "abc"]):
        growing = Detokenizer(engine._model.codec, engine.encode("prompt é"))
        pieces = [growing.push(token) for token in ids]
        assert "\ufffd" not in "".join(pieces)
        assert "".join(pieces) + growing.flush() == engine.decode(ids)


async def test_stop_tokens_and_eos_end_outside_of_the_text(engine):
    async with await engine.prefill(PROMPT) as context:
        [free] = released(await engine.generate(context, greedy()))
        stop = free.token_ids[5]
        first = free.token_ids.index(stop)
        [cut] = await engine.generate(context, greedy(stop_token_ids=(stop,)))
        async with cut.context:
            assert cut.token_ids == free.token_ids[: first + 1] and cut.finish_reason == "stop"
            assert cut.context.token_ids == context.token_ids + free.token_ids[:first]


async def test_special_tokens_in_text_are_special(engine):
    async with await engine.prefill("a<|plan|>b") as context:
        assert context.token_count == 3 and context.text == "a<|plan|>b"


async def test_eos_ends_and_ignore_eos_does_not(tiny_model, tmp_path):
    """A model whose output layer prefers the end token: it ends at once, unless told not to."""
    import shutil

    folder = tmp_path / "ender"
    shutil.copytree(tiny_model("gpt2"), folder)
    model = reference(folder)
    with torch.no_grad():  # gpt2 ties its embeddings; a constant final state picks the end token
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(model.transformer.wte.weight[0] * 100)
    model.save_pretrained(folder)
    async with await LocalEngine.load(folder, threads=1) as engine, await engine.prefill("x") as context:
        [ended] = await engine.generate(context, greedy(ignore_eos=False))
        async with ended.context:
            assert ended.finish_reason == "stop" and ended.text == "" and ended.usage.generated_tokens == 1
            assert ended.context.token_ids == context.token_ids
        [going] = released(await engine.generate(context, greedy(max_tokens=3)))
        assert going.finish_reason == "length" and going.text == "<|end|>" * 3


async def test_join_reads_the_parts_in_order(engine):
    async with await engine.prefill(PROMPT) as context:
        one, two = await engine.generate(context, greedy(n=2, temperature=1.0, seed=1))
        async with (
            one.context,
            two.context,
            await engine.join(context, [two.context, one.context], separator="\n") as joined,
            await engine.prefill(joined.token_ids) as same,
        ):
            assert joined.text == context.text + two.text + "\n" + one.text
            a = released(await engine.generate(joined, greedy()))
            b = released(await engine.generate(same, greedy()))
            assert a[0].token_ids == b[0].token_ids


async def test_cancelling_stops_the_work_and_books_what_ran(engine):
    scope = Budget(tokens=10_000)
    async with await engine.prefill("one two") as context:
        seen = asyncio.Event()
        got: list[str] = []

        async def watch() -> None:
            async for token in engine.stream(context, greedy(max_tokens=200), budget=scope):
                got.append(token.text)
                seen.set()

        task = asyncio.create_task(watch())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scope.reserved == {"tokens": 0, "calls": 0}
        assert 1 <= scope.spent["tokens"] < 200


async def test_deadline_stops_a_generation(engine):
    async with await engine.prefill("one two") as context:
        with pytest.raises(BudgetExceededError, match="seconds"):
            await engine.generate(context, greedy(n=32, max_tokens=240), budget=Budget(seconds=0.02))


async def test_short_requests_are_not_kept_waiting_by_long_ones(engine):
    order: list[str] = []
    async with await engine.prefill("one two") as context:

        async def run(name: str, tokens: int) -> None:
            released(await engine.generate(context, greedy(max_tokens=tokens)))
            order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(run("long", 200))
            group.create_task(run("short", 4))
    assert order == ["short", "long"]


async def test_close_ends_requests_in_progress(tiny_model):
    engine = await LocalEngine.load(tiny_model("llama"), threads=1)
    context = await engine.prefill("one two")
    task = asyncio.create_task(engine.generate(context, greedy(max_tokens=240, n=8)))
    await asyncio.sleep(0.01)
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await task
    context.release()
    assert engine.open_contexts() == 0


async def test_chat_goes_through_the_template_of_the_model(tiny_model, tmp_path):
    import shutil

    messages = [{"role": "user", "content": "Hi"}]
    async with await LocalEngine.load(tiny_model("llama"), threads=1) as plain:
        assert "chat" not in plain.capabilities
        async with await plain.prefill(messages) as context:
            assert context.text == "User: Hi\n\nAssistant:"
    folder = tmp_path / "chatty"
    shutil.copytree(tiny_model("llama"), folder)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    async with await LocalEngine.load(folder, threads=1) as engine:
        assert "chat" in engine.capabilities
        async with await engine.prefill(messages) as context:
            assert context.text == "[user] Hi<|end|>[assistant] "
            assert context.token_ids.count(0) == 1  # the marker is one special token


async def test_models_with_other_state_are_refused(tmp_path):
    """Mamba keeps a running state, which can be neither forked nor cut as keys and values."""
    from transformers import MambaConfig, MambaForCausalLM

    from tests.support.tiny_models import build_tokenizer

    tokenizer = build_tokenizer()
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, state_size=4)
    MambaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(EngineError, match="Mamba"):
        await LocalEngine.load(tmp_path)


async def test_unknown_models_are_named_with_a_way_out(tmp_path):
    with pytest.raises(EngineURIError, match="hf download no-such-model"):
        await connect("local:no-such-model")
    with pytest.raises(EngineURIError, match=r"config\.json"):
        await connect(f"local:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no_such_type"}))
    with pytest.raises(EngineError, match="cannot load"):
        await connect(f"local:{tmp_path}")


async def test_info_tells_threads_and_prompt_style(tiny_model, tmp_path):
    import shutil

    folder = tmp_path / "styled"
    shutil.copytree(tiny_model("llama"), folder)
    (folder / "braid.json").write_text('{"prompt_style": "compact"}')
    async with await connect(f"local:{folder}", threads=1) as engine:
        assert engine.info.details["prompt_style"] == "compact"
        assert engine.info.details["threads"] == "1" and engine.info.details["dtype"] == "float32"
        assert engine.info.max_context == 256


STEP = st.one_of(
    st.tuples(st.just("generate"), st.integers(0, 9), st.integers(1, 3), st.integers(1, 6)),
    st.tuples(st.just("extend"), st.integers(0, 9), st.sampled_from([" K2", " and", "é", "\n", "😀"])),
    st.tuples(st.just("cut"), st.integers(0, 9), st.integers(1, 40)),
    st.tuples(st.just("join"), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("prefill"), st.sampled_from(["one", "one two", "The height", "The height of K2"])),
    st.tuples(st.just("release"), st.integers(0, 9)),
)


@pytest.fixture(scope="module")
def loop_and_engines(tiny_model):
    """One warm engine for all programs, and one without a cache, on a loop that outlives the examples."""
    with asyncio.Runner() as runner:
        folder = tiny_model("llama")
        warm = runner.run(LocalEngine.load(folder, threads=1, cache_bytes=300_000))
        cold = runner.run(LocalEngine.load(folder, threads=1, cache_bytes=0))
        yield runner, warm, cold
        runner.run(warm.close())
        runner.run(cold.close())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(STEP, min_size=3, max_size=12))
def test_any_program_gives_what_a_fresh_engine_gives(loop_and_engines, program):
    """After any steps, every open context continues as the same ids do on an engine without any reuse."""
    runner, warm, cold = loop_and_engines
    runner.run(run_program(program, warm, cold))
    assert warm.open_contexts() == cold.open_contexts() == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(STEP, min_size=3, max_size=25))
def test_any_long_program_gives_what_a_fresh_engine_gives(loop_and_engines, program):
    runner, warm, cold = loop_and_engines
    runner.run(run_program(program, warm, cold))
    assert warm.open_contexts() == cold.open_contexts() == 0


async def run_program(program: list[tuple], warm: Engine, cold: Engine) -> None:
    contexts = [await warm.prefill("one two three")]

    def pick(index: int):
        return contexts[index % len(contexts)]

    for step in program:
        match step:
            case ("prefill", text):
                contexts.append(await warm.prefill(text))
            case _ if not contexts:
                continue
            case ("generate", index, n, tokens):
                params = greedy(n=n, max_tokens=tokens, temperature=1.0, seed=tokens, stop=("o",))
                contexts += [c.context for c in await warm.generate(pick(index), params)]
            case ("extend", index, text):
                contexts.append(await warm.extend(pick(index), text))
            case ("cut", index, length):
                contexts.append(await warm.cut(pick(index), min(length, pick(index).token_count)))
            case ("join", index, one, two):
                base = pick(index)
                parts = [
                    p for p in (pick(one), pick(two)) if p.token_ids[: base.token_count] == base.token_ids
                ]
                contexts.append(await warm.join(base, parts, separator=", "))
            case ("release", index):
                contexts.pop(index % len(contexts)).release()
    for context in contexts:
        async with context, await cold.prefill(context.token_ids) as fresh:
            [one] = released(await warm.generate(context, greedy(max_tokens=5, logprobs=0)))
            [two] = released(await cold.generate(fresh, greedy(max_tokens=5, logprobs=0)))
            assert fresh.text == context.text
            assert one.token_ids == two.token_ids
            assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)


async def test_threads_are_measured_unless_they_are_given(tiny_model):
    most = processors().usable
    async with await LocalEngine.load(tiny_model("llama")) as engine:
        assert int(engine.info.details["threads"]) in (1, most)
    async with await LocalEngine.load(tiny_model("llama"), threads=most) as engine:
        assert engine.info.details["threads"] == str(most)
