"""Rates of a model on held-out questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from braid.training.planner_model.measure import Miss, exact_plans, invented_examples
from braid.training.planner_model.recipe import PlannerTrainer
from tests.support.tiny_recipes import TINY_PLANNER


def test_measuring_an_untrained_model_finds_nothing_copied(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path)
    examples = invented_examples(6, seed=0, held_out=True)
    misses: list[Miss] = []
    rates = exact_plans(trainer.model, trainer.tokenizer, examples, on_miss=misses.append)
    assert (rates.n, rates.plans, rates.names) == (6, 0.0, 0.0)
    assert len(misses) == 6
    assert misses[0].reference == examples[0].plan
