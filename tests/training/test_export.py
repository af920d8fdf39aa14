"""What is exported loads unmodified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from braid.planner.prompts.compact import STOP, compact_prompt
from braid.training.export import ExportError, check, export
from braid.training.planner_model.recipe import PlannerTrainer
from braid.training.questions.tools import builtin_toolbox
from tests.support.tiny_recipes import TINY_PLANNER


def test_export_loads_unmodified_and_says_the_same(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path / "run")
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
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path / "run")
    export(trainer.model, trainer.tokenizer, tmp_path / "model")
    with torch.no_grad():
        trainer.model.model.norm.weight.add_(1.0)
    with pytest.raises(ExportError, match="not the same"):
        check(tmp_path / "model", trainer.model)
