"""Packed examples teach what they teach one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import torch

from braid.training.batches import collate
from braid.training.planner_model.examples import draw_group
from braid.training.planner_model.packing import collate_packed, encode, pack
from braid.training.planner_model.recipe import PlannerTrainer
from braid.training.tokens import PAD, token_id
from braid.training.trainer import target_loss
from tests.support.tiny_recipes import TINY_PLANNER


def test_packed_examples_are_learned_as_they_are_alone(tmp_path: Path) -> None:
    trainer = PlannerTrainer(replace(TINY_PLANNER, steps=1), tmp_path)
    tokenizer, model = trainer.tokenizer, trainer.model
    groups = [draw_group(random.Random(number), size=4) for number in (3, 4)]
    batch = collate_packed([pack(group, tokenizer) for group in groups], token_id(tokenizer, PAD))
    with torch.inference_mode():
        together = target_loss(model.model, model, batch)
        counts = [int((batch.targets >= 0).sum())]
        single: list[torch.Tensor] = []
        for example in (example for group in groups for example in group):
            alone = collate([encode(example, tokenizer)], token_id(tokenizer, PAD))
            counts.append(int((alone.targets >= 0).sum()))
            single.append(target_loss(model.model, model, alone) * counts[-1])
    assert counts[0] == sum(counts[1:])
    torch.testing.assert_close(together, torch.stack(single).sum() / counts[0], atol=5e-3, rtol=0.0)
