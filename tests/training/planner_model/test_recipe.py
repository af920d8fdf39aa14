"""braid-mini's training: it learns, it survives a kill, and it goes on from an exported model."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from braid.training.export import export
from braid.training.facts import FACTS
from braid.training.planner_model.card import card
from braid.training.planner_model.recipe import PlannerTrainer, continue_from, seeds
from braid.training.trainer import StartError
from tests.support.killing import ends_as_if_not_killed
from tests.support.tiny_recipes import TINY_PLANNER


def test_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    PlannerTrainer(TINY_PLANNER, tmp_path).run(on_step=lambda progress, _: losses.append(progress.loss))
    assert len(losses) == TINY_PLANNER.steps
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3]), losses


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    ends_as_if_not_killed(partial(PlannerTrainer, replace(TINY_PLANNER, steps=6)), tmp_path)


def test_a_run_evaluates_on_its_way(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=2), tmp_path)
    trainer.run(evaluate_every=0.0)
    lines = (tmp_path / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_run_is_not_resumed_with_another_recipe(tmp_path: Path) -> None:
    PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path).run()
    with pytest.raises(ValueError, match="another recipe"):
        PlannerTrainer(replace(TINY_PLANNER, steps=2), tmp_path)


def test_a_run_goes_on_from_an_exported_model(tmp_path: Path) -> None:
    first = PlannerTrainer(replace(TINY_PLANNER, steps=2), tmp_path / "first")
    first.run()
    folder = tmp_path / "model"
    export(first.model, first.tokenizer, folder)
    (folder / FACTS).write_text(json.dumps({"training": first.facts()}), encoding="utf-8")
    with pytest.raises(StartError, match="another seed"):
        continue_from(TINY_PLANNER, folder)
    recipe = continue_from(replace(TINY_PLANNER, steps=1, seed=1), folder)
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
            continue_from(TINY_PLANNER, folder)
        return
    first = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path / "first")
    export(first.model, first.tokenizer, folder)
    (folder / FACTS).write_text(json.dumps({"training": first.facts()}), encoding="utf-8")
    recipe = continue_from(replace(TINY_PLANNER, seed=1, shape=replace(TINY_PLANNER.shape, layers=1)), folder)
    with pytest.raises(StartError, match="another shape"):
        PlannerTrainer(recipe, tmp_path / "second", start=folder)
