"""braid-countdown's training: it learns, it survives a kill, and its data are of every kind."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from braid.evals.countdown.problems import Problem
from braid.training.countdown_model.recipe import (
    WINDOW,
    CountdownSource,
    CountdownTrainer,
    countdown_tokenizer,
    number_embeddings,
)
from braid.training.trainer import StartError
from tests.support.killing import ends_as_if_not_killed
from tests.support.tiny_recipes import TINY_COUNTDOWN


def test_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    CountdownTrainer(TINY_COUNTDOWN, tmp_path).run(on_step=lambda progress, _: losses.append(progress.loss))
    assert len(losses) == TINY_COUNTDOWN.steps
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5]), losses


def test_a_killed_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    ends_as_if_not_killed(partial(CountdownTrainer, replace(TINY_COUNTDOWN, steps=6)), tmp_path)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    """Its recipe was recorded in another order, with settings that had no effect."""
    recipe = replace(TINY_COUNTDOWN, steps=2)
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
    source = CountdownSource(tokenizer, recipe=TINY_COUNTDOWN)
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
    for row in CountdownSource(tokenizer, recipe=TINY_COUNTDOWN).rows(1)[:50]:
        text = tokenizer.decode(row.ids)
        assert tokenizer.encode(text) == list(row.ids)
