"""braid-planner's training: gradients of the small matrices, resumption, and the file that others read."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from braid.planner.prompts import TURNS
from braid.training.facts import FACTS
from braid.training.planner_adapter import AdapterRecipe, AdapterTrainer, LowRankLinear
from braid.training.planner_adapter.card import card
from braid.training.planner_adapter.recipe import continue_from
from braid.training.trainer import StartError
from tests.support.killing import ends_as_if_not_killed

RECIPE = AdapterRecipe(
    base="tiny", steps=12, minutes=None, rank=8, alpha=32.0, rate=1e-2, warmup=0.05, batch_tokens=2048
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers, whose tokens are bytes and the turns of a chat."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["search calculate answer value"], trainer=trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_gradients_are_those_of_the_sum() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 5, bias=False)
    layer = LowRankLinear(linear, rank=2, alpha=3.0)
    layer.up.data.normal_()
    layer.merge()
    x = torch.randn(3, 4, 6, requires_grad=True)
    above = torch.randn(3, 4, 5)
    layer(x).backward(above)
    found = [x.grad, layer.up.grad, layer.down.grad]
    up, down, other = (t.detach().clone().requires_grad_() for t in (layer.up, layer.down, x))
    (other @ (linear.weight.detach() + 1.5 * up @ down).T).backward(above)
    for ours, theirs in zip(found, (other.grad, up.grad, down.grad), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_loss_falls_and_the_base_stays(base: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    trainer = AdapterTrainer(RECIPE, tmp_path, base=base)
    trainer.run(on_step=lambda progress, _: losses.append(progress.loss))
    assert sum(losses[-3:]) < sum(losses[:3]) - 0.3, losses
    theirs = AutoModelForCausalLM.from_pretrained(base).state_dict()
    name = "model.layers.0.mlp.up_proj"
    assert torch.equal(trainer.model.get_submodule(name).frozen, theirs[f"{name}.weight"])
    assert torch.equal(trainer.model.model.embed_tokens.weight, theirs["model.embed_tokens.weight"])


def test_a_killed_run_ends_as_one_that_was_not(base: Path, tmp_path: Path) -> None:
    ends_as_if_not_killed(partial(AdapterTrainer, replace(RECIPE, steps=6), base=base), tmp_path)


def test_the_export_is_a_peft_adapter_with_a_card(base: Path, tmp_path: Path) -> None:
    trainer = AdapterTrainer(replace(RECIPE, steps=2, base_digest="ab"), tmp_path / "run", base=base)
    trainer.run()
    folder = tmp_path / "model"
    trainer.export(folder)
    facts = {"training": trainer.facts()}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    tensors = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    layer = trainer.model.model.layers[1].self_attn.k_proj
    named = "base_model.model.model.layers.1.self_attn.k_proj"
    product = tensors[f"{named}.lora_B.weight"].float() @ tensors[f"{named}.lora_A.weight"].float()
    merged = layer.frozen + config["lora_alpha"] / config["r"] * product
    torch.testing.assert_close(merged, layer.merged, atol=1e-3, rtol=2e-2)
    assert len(tensors) == 2 * 2 * 7
    note = json.loads((folder / "braid.json").read_text(encoding="utf-8"))
    assert note["base"] == {"name": "tiny", "sha256": ["ab"]}
    assert "2 steps" in card(facts)
    with pytest.raises(StartError, match="another seed"):
        continue_from(RECIPE, folder)
    further = AdapterTrainer(
        continue_from(replace(RECIPE, seed=1), folder), tmp_path / "further", base=base, start=folder
    )
    torch.testing.assert_close(
        further.model.model.layers[1].self_attn.k_proj.up, layer.up, atol=1e-3, rtol=2e-2
    )
    assert "from the adapter of the run below" in card({"training": further.facts()})


def test_sequences_have_the_turns_of_a_chat(base: Path, tmp_path: Path) -> None:
    trainer = AdapterTrainer(RECIPE, tmp_path, base=base)
    batch = trainer.source.pool(0)[0]
    text = str(trainer.tokenizer.decode(batch.ids[0].tolist()))
    assert text.startswith(TURNS.tools)
    assert text.count(TURNS.question) == text.count(TURNS.plan) >= 3
    assert "<|plan|>" not in text
    learned = batch.ids.roll(-1)[batch.targets >= 0]
    assert torch.equal(learned, batch.targets[batch.targets >= 0])
