"""Spelling of freely written plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from braid.training.planner_model.measure import invented_examples
from braid.training.planner_model.recipe import PlannerTrainer
from braid.training.planner_model.spelling import measure_spelling
from tests.support.tiny_recipes import TINY_PLANNER


def test_spelling_counts_only_plans_that_parse(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path)
    examples = invented_examples(3, seed=0, held_out=False)
    spelling = measure_spelling(trainer.model.eval(), trainer.tokenizer, examples, max_tokens=8)
    assert spelling.plans == 3
    assert spelling.parsed <= 3
    assert 0.0 <= spelling.names_exact <= 1.0
