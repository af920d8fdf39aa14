"""The training run: it learns, it survives a kill, and what it exports loads unmodified."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from braid.planner.prompts.compact import STOP, compact_prompt
from braid.training.batches import collate
from braid.training.export import ExportError, check, export
from braid.training.facts import FACTS
from braid.training.planner_model.card import card
from braid.training.planner_model.examples import draw_group
from braid.training.planner_model.measure import Miss, invented_examples, measure
from braid.training.planner_model.packing import collate_packed, encode, pack
from braid.training.planner_model.recipe import PlannerRecipe, PlannerTrainer, going_on_from, seeds
from braid.training.planner_model.spelling import measure_spelling
from braid.training.questions.tools import builtin_toolbox
from braid.training.qwen3 import Shape
from braid.training.tokens import PAD, token_id
from braid.training.trainer import StartError, plan_loss, rate
from tests.support.killing import ends_as_if_not_killed

TINY = PlannerRecipe(
    minutes=None,
    steps=16,
    batch_tokens=1024,
    vocab_size=640,
    tokenizer_examples=400,
    shape=Shape(
        hidden=32, layers=2, feed_forward=64, heads=2, key_value_heads=1, head_size=16, positions=1024
    ),
    matrix_rate=0.02,
    vector_rate=1e-2,
    warmup=0.05,
    easy_pools=0,
    compile=False,
)


def test_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    PlannerTrainer(TINY, tmp_path).run(report=lambda progress, _: losses.append(progress.loss))
    assert len(losses) == TINY.steps
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3]), losses


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    ends_as_if_not_killed(partial(PlannerTrainer, replace(TINY, steps=6)), tmp_path)


def test_packed_examples_are_learned_as_they_are_alone(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=1), tmp_path)
    tokenizer, model = trainer.tokenizer, trainer.model
    groups = [draw_group(random.Random(number), size=4) for number in (3, 4)]
    batch = collate_packed([pack(group, tokenizer) for group in groups], token_id(tokenizer, PAD))
    with torch.inference_mode():
        together = plan_loss(model.model, model, batch)
        counts = [int((batch.targets >= 0).sum())]
        single: list[torch.Tensor] = []
        for example in (example for group in groups for example in group):
            alone = collate([encode(example, tokenizer)], token_id(tokenizer, PAD))
            counts.append(int((alone.targets >= 0).sum()))
            single.append(plan_loss(model.model, model, alone) * counts[-1])
    assert counts[0] == sum(counts[1:])
    torch.testing.assert_close(together, torch.stack(single).sum() / counts[0], atol=5e-3, rtol=0.0)


def test_a_run_evaluates_on_its_way(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=2), tmp_path)
    trainer.run(evaluate_every=0.0)
    lines = (tmp_path / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_run_is_not_resumed_with_another_recipe(tmp_path: Path) -> None:
    PlannerTrainer(replace(TINY, steps=1), tmp_path).run()
    with pytest.raises(ValueError, match="another recipe"):
        PlannerTrainer(replace(TINY, steps=2), tmp_path)


def test_a_run_goes_on_from_an_exported_model(tmp_path: Path) -> None:
    first = PlannerTrainer(replace(TINY, steps=2), tmp_path / "first")
    first.run()
    folder = tmp_path / "model"
    export(first.model, first.tokenizer, folder)
    (folder / FACTS).write_text(json.dumps({"training": first.facts()}), encoding="utf-8")
    with pytest.raises(StartError, match="another seed"):
        going_on_from(TINY, folder)
    recipe = going_on_from(replace(TINY, steps=1, seed=1), folder)
    second = PlannerTrainer(recipe, tmp_path / "second", start=folder)
    theirs = first.model.state_dict()
    for name, weight in second.model.state_dict().items():
        assert torch.equal(weight, theirs[name].bfloat16().float()), name
    assert second.tokenizer.get_vocab() == first.tokenizer.get_vocab()
    second.run()
    assert seeds(second.facts()) == [1, 0]
    assert "went on from a model" in card({"training": second.facts()})


@pytest.mark.parametrize("wrong", ["nothing", "shape"])
def test_a_run_goes_on_from_nothing_else(tmp_path: Path, wrong: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if wrong == "nothing":
        with pytest.raises(StartError, match="holds no model"):
            going_on_from(TINY, folder)
        return
    first = PlannerTrainer(replace(TINY, steps=1), tmp_path / "first")
    export(first.model, first.tokenizer, folder)
    (folder / FACTS).write_text(json.dumps({"training": first.facts()}), encoding="utf-8")
    recipe = going_on_from(replace(TINY, seed=1, shape=replace(TINY.shape, layers=1)), folder)
    with pytest.raises(StartError, match="another shape"):
        PlannerTrainer(recipe, tmp_path / "second", start=folder)


def test_the_rate_ends_at_zero() -> None:
    assert rate(0.5, warmup=0.01, decay=0.5) == 1.0
    assert rate(0.75, warmup=0.01, decay=0.5) == 0.5
    assert rate(1.0, warmup=0.01, decay=0.5) == 0.0
    assert 0.0 < rate(0.0, warmup=0.01, decay=0.5) < 0.1


def test_export_loads_unmodified_and_says_the_same(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=1), tmp_path / "run")
    trainer.run()
    folder = tmp_path / "model"
    export(trainer.model, trainer.tokenizer, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.config.prompt_style == "compact-results"
    assert tokenizer.eos_token == STOP
    prompt = compact_prompt("Größe von 'Mont Blanc' – K2?", builtin_toolbox())
    ids = tokenizer.encode(prompt)
    assert ids == trainer.tokenizer.encode(prompt)
    assert tokenizer.decode(ids) == prompt
    with torch.inference_mode():
        mine = trainer.model(input_ids=torch.tensor([ids])).logits
        theirs = model(input_ids=torch.tensor([ids])).logits
    torch.testing.assert_close(theirs.float(), mine, atol=0.02, rtol=0.05)


def test_a_damaged_export_is_noticed(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=1), tmp_path / "run")
    export(trainer.model, trainer.tokenizer, tmp_path / "model")
    with torch.no_grad():
        trainer.model.model.norm.weight.add_(1.0)
    with pytest.raises(ExportError, match="not the same"):
        check(tmp_path / "model", trainer.model)


def test_measuring_an_untrained_model_finds_nothing_copied(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=1), tmp_path)
    examples = invented_examples(6, seed=0, held_out=True)
    misses: list[Miss] = []
    rates = measure(trainer.model, trainer.tokenizer, examples, on_miss=misses.append)
    assert (rates.n, rates.plans, rates.names) == (6, 0.0, 0.0)
    assert len(misses) == 6
    assert misses[0].reference == examples[0].plan


def test_spelling_counts_only_plans_that_parse(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY, steps=1), tmp_path)
    examples = invented_examples(3, seed=0, held_out=False)
    spelling = measure_spelling(trainer.model.eval(), trainer.tokenizer, examples, max_tokens=8)
    assert spelling.plans == 3
    assert spelling.parsed <= 3
    assert 0.0 <= spelling.names_exact <= 1.0
