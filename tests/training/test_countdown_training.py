"""braid-countdown's training: it learns, it survives a kill, and what it exports is read by our engine and transformers."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from braid.engine import connect
from braid.evals.countdown.problems import Problem, generate
from braid.evals.countdown.solve import attempt_serial, attempt_spawn
from braid.training.countdown_model.commands import export_countdown, measure_countdown
from braid.training.countdown_model.recipe import (
    WINDOW,
    CountdownRecipe,
    CountdownSource,
    CountdownTrainer,
    countdown_tokenizer,
    number_embeddings,
)
from braid.training.qwen3 import Shape
from braid.training.trainer import StartError
from tests.support.killing import ends_as_if_not_killed

TINY = CountdownRecipe(
    steps=40,
    batch_tokens=1024,
    shape=Shape(
        hidden=32, layers=2, feed_forward=64, heads=2, key_value_heads=2, head_size=16, positions=512
    ),
    vector_rate=1e-2,
    warmup=0.05,
    compile=False,
)


def test_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    CountdownTrainer(TINY, tmp_path).run(report=lambda progress, _: losses.append(progress.loss))
    assert len(losses) == TINY.steps
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5]), losses


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    ends_as_if_not_killed(partial(CountdownTrainer, replace(TINY, steps=6)), tmp_path)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    """Its recipe was recorded in another order, with settings that had no effect."""
    recipe = replace(TINY, steps=2)
    CountdownTrainer(recipe, tmp_path).run(stop_after=1)
    recorded = tmp_path / "recipe.json"
    settings = json.loads(recorded.read_text(encoding="utf-8"))
    earlier = {"vocab_size": 2048, "mixture": {"atlas": 0.3}, **dict(reversed(settings.items()))}
    recorded.write_text(json.dumps(earlier), encoding="utf-8")
    assert CountdownTrainer(recipe, tmp_path).run().step == 2
    assert json.loads(recorded.read_text(encoding="utf-8")) == settings
    del earlier["numbers"]
    recorded.write_text(json.dumps(earlier), encoding="utf-8")
    with pytest.raises(StartError, match="another recipe"):
        CountdownTrainer(recipe, tmp_path)


def test_sequences_are_of_every_kind_and_of_the_training_split() -> None:
    tokenizer = countdown_tokenizer()
    source = CountdownSource(tokenizer, recipe=TINY)
    rows = source.rows(0)
    assert rows == source.rows(0)
    texts = [tokenizer.decode(row.ids) for row in rows]
    for kind in ("DIRECT S", "SERIAL S", "SPAWN 3 S", "CALL 1", "SUBS"):
        assert sum(kind in text for text in texts) > 5, kind
    assert max(len(row.ids) for row in rows) == WINDOW + 1
    assert not any("<|unknown|>" in text for text in texts)
    for text in texts:
        header = text.split()
        numbers = header[header.index("S") + 1 :][:5]
        if header[0] == "DIRECT":
            assert Problem(tuple(map(int, numbers[1:])), int(numbers[0])).split == "train"


def test_embeddings_of_numbers_begin_apart_and_alike_for_neighbours() -> None:
    embeddings = number_embeddings(192, seed=0)
    assert torch.equal(embeddings, number_embeddings(192, seed=0))
    assert embeddings.std().item() == pytest.approx(1.0)
    apart = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf)
    assert apart.min() > 1.0
    neighbours = apart.diagonal(1)
    assert neighbours[1:].mean() < apart[apart < torch.inf].mean()


def test_the_tokenizer_loses_nothing() -> None:
    tokenizer = countdown_tokenizer()
    for row in CountdownSource(tokenizer, recipe=TINY).rows(1)[:50]:
        text = tokenizer.decode(row.ids)
        assert tokenizer.encode(text) == list(row.ids)


async def test_the_export_runs_in_every_mode(tmp_path: Path) -> None:
    trainer = CountdownTrainer(replace(TINY, steps=1), tmp_path / "run")
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
    trainer = CountdownTrainer(replace(TINY, steps=1), tmp_path / "run")
    trainer.run()
    export_countdown(trainer, tmp_path / "model")
    measure_countdown(tmp_path / "model", split="test", problems=2, threads=1, as_json=False)
    printed = capsys.readouterr().out
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    for text in (printed, card):
        assert "| direct@64 |" in text
        assert "| spawn/join, 10 threads |" in text
    assert "braid train countdown --steps 1" in card
