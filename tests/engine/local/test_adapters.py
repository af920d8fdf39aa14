"""LoRA adapters on the rows of a batch, against the same adapters merged into the weights."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from braid.engine import (
    CapabilityError,
    Engine,
    EngineError,
    EngineURIError,
    EngineWrapper,
    InvalidParamsError,
    SamplingParams,
    ScriptedEngine,
    connect,
)
from braid.engine.conformance import EngineConformance
from braid.engine.conformance.base import released
from braid.engine.errors import AdapterError
from braid.engine.local import LocalEngine
from braid.engine.local.model.base_of_adapter import weights_hash
from tests.support.adapters import ALL, build_adapter, merged_model
from tests.support.architectures import build_architecture
from tests.support.tiny_models import Family

PROMPT = "The height of K2 is 8611 metres, and Mont Blanc"
TEXT = " is 4806 metres high, one two three"
GPT2 = ("c_attn", "c_proj", "c_fc")


def greedy(tokens: int = 24, **changes) -> SamplingParams:
    return SamplingParams(**{"temperature": 0.0, "max_tokens": tokens, "ignore_eos": True, **changes})


async def complete(engine: Engine, prompt: str = PROMPT, **changes) -> list[tuple[int, ...]]:
    async with await engine.prefill(prompt) as context:
        return [each.token_ids for each in released(await engine.generate(context, greedy(**changes)))]


async def scores(engine: Engine) -> list[float]:
    async with await engine.prefill(PROMPT) as context:
        return await engine.score(context, TEXT)


class TestAdapterView(EngineConformance):
    """An engine with an adapter on is an engine like any other."""

    @pytest.fixture(params=["llama", "gpt2"])
    async def engine(self, request: pytest.FixtureRequest, tiny_model, tmp_path) -> AsyncIterator[Engine]:
        base = tiny_model(request.param)
        targets = GPT2 if request.param == "gpt2" else ALL
        one, two = (build_adapter(tmp_path / n, base, targets=targets, seed=len(n)) for n in ("a", "bb"))
        async with await LocalEngine.load(base, threads=1, adapters={"one": one, "two": two}) as base_engine:
            yield base_engine.with_adapter("one")
            assert base_engine.open_contexts() == 0
            base_engine.check_integrity()


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "modules"])
@pytest.mark.parametrize(
    ("family", "targets", "config"),
    [
        *(("llama", (target,), {}) for target in (*ALL, "lm_head")),
        ("llama", (*ALL, "lm_head"), {"use_rslora": True}),
        ("qwen3", ("k_proj", "up_proj"), {"alpha": 3, "rank": 8}),
        ("qwen3", ALL, {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 16}}),
        ("gpt2", GPT2, {}),
    ],
)
async def test_an_adapter_equals_the_merged_model(
    tmp_path, tiny_model, family: Family, targets, config, fast
):
    base = tiny_model(family)
    adapter = build_adapter(tmp_path / "adapter", base, targets=targets, **config)
    merged = merged_model(tmp_path / "merged", base, adapter)
    async with (
        await LocalEngine.load(adapter, threads=1, fast=fast) as engine,
        await LocalEngine.load(merged, threads=1, fast=fast) as reference,
    ):
        assert engine.adapter == "adapter"
        expected = await scores(reference)
        assert await scores(engine) == pytest.approx(expected, abs=1e-4)
        assert await scores(engine.with_adapter(None)) != pytest.approx(expected, abs=1e-2)
        assert await complete(engine) == await complete(reference)
        assert await complete(engine, n=3) == await complete(reference, n=3)


@pytest.mark.parametrize("name", ["qwen2", "phi", "gemma2", "gpt_neox", "olmoe"])
async def test_other_architectures_equal_the_merged_model(tmp_path, name):
    """Biases, fused projections, caps, and attention beside experts."""
    base = build_architecture(tmp_path / "base", name)
    targets = ("query_key_value", "dense_h_to_4h") if name == "gpt_neox" else ("q_proj", "v_proj")
    adapter = build_adapter(tmp_path / "adapter", base, targets=targets)
    merged = merged_model(tmp_path / "merged", base, adapter)
    async with (
        await LocalEngine.load(adapter, threads=1) as engine,
        await LocalEngine.load(merged, threads=1) as reference,
    ):
        assert await scores(engine) == pytest.approx(await scores(reference), abs=1e-4)
        assert await complete(engine) == await complete(reference)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("fast", [True, False], ids=["fast", "modules"])
async def test_half_precision_stays_near_the_merged_model(tmp_path, tiny_model, dtype, fast):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    merged = merged_model(tmp_path / "merged", base, adapter)
    async with (
        await LocalEngine.load(adapter, threads=1, dtype=dtype, fast=fast) as engine,
        await LocalEngine.load(merged, threads=1) as reference,
    ):
        assert await scores(engine) == pytest.approx(await scores(reference), abs=0.6)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "modules"])
async def test_a_mixed_batch_writes_what_each_writes_alone(tmp_path, tiny_model, fast):
    """Rows of two adapters and of none, in segments, in slots and forked, some of them still reading."""
    base = tiny_model("qwen3")
    adapters = {name: build_adapter(tmp_path / name, base, seed=ord(name)) for name in "ab"}
    prompts = [PROMPT, PROMPT[:20], PROMPT * 2, TEXT]
    async with await LocalEngine.load(
        base, threads=1, fast=fast, chunk_tokens=16, adapters=adapters
    ) as engine:
        views = [engine.with_adapter(name) for name in (None, "a", "b")]
        work = [(view, prompt, n) for prompt in prompts for view in views for n in (1, 2)]
        alone = []
        for view, prompt, n in work:
            alone.append(await complete(view, prompt, n=n))
            engine.forget()
        before = engine.stats().steps
        async with asyncio.TaskGroup() as group:
            together = [group.create_task(complete(view, prompt, n=n)) for view, prompt, n in work]
        assert [task.result() for task in together] == alone
        assert engine.stats().steps - before < 24 * len(work) / 2, "they ran side by side"
        assert len({tuple(tokens) for tokens in alone}) > 2 * len(prompts), "adapters write other things"
        engine.check_integrity()


async def test_no_kv_is_shared_between_adapters(tmp_path, tiny_model):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    async with await LocalEngine.load(base, threads=1, adapters={"one": adapter}) as engine:
        on = engine.with_adapter("one")
        async with await engine.prefill(PROMPT) as plain, await on.prefill(PROMPT) as planned:
            assert planned.usage.cached_tokens == 0
            async with await on.prefill(PROMPT) as again, await engine.prefill(PROMPT) as plain_again:
                assert again.usage.cached_tokens == plain_again.usage.cached_tokens == plain.token_count - 1
            async with await on.extend(plain, TEXT) as extended:
                assert extended.adapter is None, "a context keeps what read it"
            async with await engine.cut(planned, 5) as cut, await engine.extend(cut, TEXT) as longer:
                assert cut.adapter == longer.adapter == "one"
            with pytest.raises(InvalidParamsError, match="descend"):
                await engine.join(plain, [planned])
            with pytest.raises(InvalidParamsError, match="descend"):
                await engine.join(plain, [planned], how="kv")


@pytest.mark.parametrize("how", ["text", "kv"])
async def test_joins_forks_and_cuts_keep_the_adapter(tmp_path, tiny_model, how):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    merged = merged_model(tmp_path / "merged", base, adapter)
    found = []
    async with (
        await LocalEngine.load(adapter, threads=1) as engine,
        await LocalEngine.load(merged, threads=1) as reference,
    ):
        for each in (engine, reference):
            async with await each.prefill(PROMPT) as context:
                parts = await each.generate(context, greedy(8, n=3))
                async with await each.join(context, [part.context for part in parts], how=how) as joined:
                    for part in parts:
                        part.context.release()
                    async with await each.cut(joined, joined.token_count - 11) as cut:
                        for kept in (joined, cut):
                            (one,) = released(await each.generate(kept, greedy()))
                            found.append(one.token_ids)
                    tokens = await each.score_prompt(context, top_logprobs=1)
                    found.append([token.id for token in tokens])
                    found.append([round(token.logprob or 0, 3) for token in tokens])
        engine.check_integrity()
        assert engine.open_contexts() == 0
    assert found[:4] == found[4:]


async def test_evicted_contexts_are_read_again_by_their_adapter(tmp_path, tiny_model):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    async with await LocalEngine.load(base, threads=1, adapters={"one": adapter}, cache_bytes=0) as engine:
        on = engine.with_adapter("one")
        expected = await complete(on)
        async with await on.prefill(PROMPT) as context:
            assert context.num_computed_tokens > 0
            assert engine._contexts.evict_idle()
            engine.forget()
            assert context.num_computed_tokens == 0 and context.adapter == "one"
            (again,) = released(await on.generate(context, greedy()))
            assert [again.token_ids] == expected
        engine.check_integrity()


async def test_adapters_come_while_others_run(tmp_path, tiny_model):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    async with await LocalEngine.load(base, threads=1, fast=False) as engine:
        expected = await complete(engine, tokens=120)
        running = asyncio.create_task(complete(engine, tokens=120))
        views = [await engine.load_adapter(f"adapter {number}", adapter) for number in range(3)]
        found = [await complete(view) for view in views]
        assert found[0] == found[1] == found[2]
        assert await running == expected
        assert engine.info.adapters == ("adapter 0", "adapter 1", "adapter 2")
        with pytest.raises(InvalidParamsError, match="no other one has"):
            await engine.load_adapter("adapter 0", adapter)
    with pytest.raises(EngineError, match="closed"):
        await views[0].prefill(PROMPT)


async def test_what_an_address_opens(tmp_path, tiny_model):
    """An adapter's folder opens the base that it records. `BASE+FOLDER` names both."""
    base = tiny_model("llama")
    note = {"prompt_style": "compact", "details": {"marker": "<|plan|>"}, "seen": ["lists are no details"]}
    adapter = build_adapter(tmp_path / "my-planner", base, note=note)
    async with await connect(f"local:{adapter}", threads=1) as opened:
        info = opened.info
        assert (info.uri, info.model, info.adapters) == (f"local:{adapter}", "my-planner", ("my-planner",))
        assert info.details["prompt_style"] == "compact" and info.details["marker"] == "<|plan|>"
        assert info.details["adapter"] == "my-planner" and "seen" not in info.details
        expected = await complete(opened)
        plain = opened.with_adapter(None).info
        assert plain.uri == f"local:{base}" and "prompt_style" not in plain.details
    config = json.loads((adapter / "adapter_config.json").read_text())
    for recorded in ("/nowhere/trained-here", None):
        (adapter / "adapter_config.json").write_text(
            json.dumps({**config, "base_model_name_or_path": recorded})
        )
        with pytest.raises(EngineURIError, match="base of the adapter"):
            await connect(f"local:{adapter}")
    async with await connect(f"local:{base}+{adapter}", threads=1) as opened:
        assert opened.info.uri == f"local:{base}+{adapter}"
        assert await complete(opened) == expected
    (adapter / "braid.json").write_text(json.dumps({"base": {"name": str(base)}}))
    shutil.copy(base / "config.json", adapter)
    async with await connect(f"local:{adapter}", threads=1) as opened:
        assert await complete(opened) == expected


async def test_an_adapter_among_the_files_of_a_model_is_refused(tmp_path, tiny_model):
    both = tmp_path / "both"
    shutil.copytree(tiny_model("llama"), both)
    build_adapter(both, tiny_model("llama"))
    with pytest.raises(AdapterError, match="a folder of its own"):
        await connect(f"local:{both}")


async def test_a_recorded_base_must_be_the_one(tmp_path, tiny_model):
    base, other = tiny_model("llama"), tiny_model("qwen3")
    right = weights_hash(base)
    adapter = build_adapter(tmp_path / "adapter", base, note={"base": {"sha256": [right, "0" * 64]}})
    async with await connect(f"local:{adapter}", threads=1) as opened:
        expected = await complete(opened)
    (adapter / "braid.json").write_text(json.dumps({"base": {"sha256": weights_hash(other)}}))
    for address in (f"local:{adapter}", f"local:{base}+{adapter}"):
        with pytest.raises(AdapterError, match="any_base=True"):
            await connect(address, threads=1)
        async with await connect(address, threads=1, any_base=True) as opened:
            assert await complete(opened) == expected


def changed(folder: Path, **config) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"something_new": 3}, "something_new"),
        ({"init_lora_weights": "pissa"}, "changed base"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"r": 0}, "r\n"),
        ({"r": 5}, "does not fit"),
        ({"r": "four"}, "r\n"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"rank_pattern": {"(": 3}}, "unterminated"),
        ({"target_modules": ["q_proj"]}, "target_modules do not name"),
    ],
)
async def test_what_is_not_known_is_refused(tmp_path, tiny_model, config, reason):
    base = tiny_model("llama")
    adapter = changed(build_adapter(tmp_path / "adapter", base), **config)
    async with await LocalEngine.load(base, threads=1) as engine:
        with pytest.raises(AdapterError, match=reason):
            await engine.load_adapter("adapter", adapter)
        assert await complete(engine)


async def test_weights_that_do_not_fit_are_refused(tmp_path, tiny_model):
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    path = adapter / "adapter_model.safetensors"
    content, tensors = path.read_bytes(), load_file(path)
    first = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    elsewhere = "base_model.model.model.layers.9.self_attn.q_proj.lora_{}.weight"
    damages = {
        "does not fit": {**tensors, first: torch.zeros(4, 31)},
        "one half only": {name: tensor for name, tensor in tensors.items() if name != first},
        "no layer of this base": {
            **tensors,
            elsewhere.format("A"): torch.zeros(4, 32),
            elsewhere.format("B"): torch.zeros(32, 4),
        },
        "lora_embedding_A": {
            **tensors,
            "base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(4),
        },
        "lora_magnitude_vector": {
            **tensors,
            first.replace("lora_A.weight", "lora_magnitude_vector"): torch.ones(1),
        },
        "base_layer": {**tensors, "base_model.model.lm_head.base_layer.weight": torch.zeros(400, 32)},
        "no finite numbers": {**tensors, first: torch.full((4, 32), torch.nan)},
        "int64": {**tensors, first: torch.zeros(4, 32, dtype=torch.int64)},
        "holds no weights": {},
        "lacks the weights": {name: tensor for name, tensor in tensors.items() if "v_proj" not in name},
    }
    async with await LocalEngine.load(base, threads=1) as engine:
        for reason, damaged in damages.items():
            save_file(damaged, path)
            with pytest.raises(AdapterError, match=reason):
                await engine.load_adapter("adapter", adapter)
        for cut in (0, 4, 100, len(content) - 1):
            path.write_bytes(content[:cut])
            with pytest.raises(AdapterError, match="cannot read"):
                await engine.load_adapter("adapter", adapter)
        path.unlink()
        with pytest.raises(AdapterError, match=r"no adapter_model.safetensors"):
            await engine.load_adapter("adapter", adapter)
        for text in ("", "[]", "{", "\xff", "[" * 100_000):
            (adapter / "adapter_config.json").write_text(text, encoding="latin-1")
            with pytest.raises(AdapterError, match="cannot read"):
                await engine.load_adapter("adapter", adapter)


async def test_adapters_of_experts_are_refused(tmp_path):
    base = build_architecture(tmp_path / "base", "olmoe")
    adapter = build_adapter(tmp_path / "adapter", base, targets=("q_proj",))
    path = adapter / "adapter_model.safetensors"
    name = "base_model.model.model.layers.0.mlp.experts.0.up_proj.lora_{}.weight"
    added = {name.format("A"): torch.zeros(4, 32), name.format("B"): torch.zeros(64, 4)}
    save_file({**load_file(path), **added}, path)
    with pytest.raises(AdapterError, match="experts"):
        await connect(f"local:{adapter}", threads=1)


async def test_wrappers_and_engines_without_adapters(tmp_path, tiny_model):
    scripted = ScriptedEngine(["yes"])
    for engine in (scripted, EngineWrapper(scripted)):
        with pytest.raises(CapabilityError, match="adapters"):
            engine.with_adapter(None)
    base = tiny_model("llama")
    adapter = build_adapter(tmp_path / "adapter", base)
    async with await LocalEngine.load(base, threads=1, adapters={"one": adapter}) as engine:
        wrapped = EngineWrapper(engine).with_adapter("one")
        assert isinstance(wrapped, EngineWrapper) and wrapped.info.model == "one"
        assert await complete(wrapped) == await complete(engine.with_adapter("one"))
