"""What is exported and measured of braid-countdown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from braid.engine import connect
from braid.evals.countdown.problems import generate
from braid.evals.countdown.solve import attempt_serial, attempt_spawn
from braid.training.countdown_model.commands import export_countdown, measure_countdown
from braid.training.countdown_model.recipe import (
    CountdownTrainer,
)
from tests.support.tiny_recipes import TINY_COUNTDOWN


async def test_the_export_runs_in_every_mode(tmp_path: Path) -> None:
    trainer = CountdownTrainer(replace(TINY_COUNTDOWN, steps=1), tmp_path / "run")
    export_countdown(trainer, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(tmp_path / "model").decode([1]) == "<|end|>"
    problem = generate("validation", 1)[0]
    async with await connect(f"local:{tmp_path / 'model'}", threads=1) as engine:
        serial = await attempt_serial(engine, problem, window=40)
        spawn = await attempt_spawn(engine, problem, threads=2, window=40)
        assert engine.open_contexts() == 0
    assert serial.longest_sequence <= 40
    assert spawn.longest_sequence <= 40


def test_measuring_writes_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = CountdownTrainer(replace(TINY_COUNTDOWN, steps=1), tmp_path / "run")
    trainer.run()
    export_countdown(trainer, tmp_path / "model")
    measure_countdown(tmp_path / "model", split="test", problems=2, threads=1, as_json=False)
    printed = capsys.readouterr().out
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    for text in (printed, card):
        assert "| direct@64 |" in text
        assert "| spawn/join, 10 threads |" in text
    assert "braid train countdown --steps 1" in card
