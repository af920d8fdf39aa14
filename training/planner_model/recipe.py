"""How braid-mini is made: its recipe, and the training run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from braid.training.facts import FACTS, read_training
from braid.training.planner_model.examples import Mixture
from braid.training.planner_model.measure import atlas_examples, exact_plans
from braid.training.planner_model.packing import PackedSource
from braid.training.planner_model.tokenizer import load_tokenizer, train_tokenizer
from braid.training.trainer import Recipe, StartError, Trainer


@dataclass(frozen=True, kw_only=True)
class PlannerRecipe(Recipe):
    """The recipe of braid-mini."""

    vocab_size: int = 2048
    """Tokens of the tokenizer."""
    tokenizer_examples: int = 12_000
    """Examples that the tokenizer is trained on."""
    mixture: Mixture = field(default_factory=Mixture)
    """Shares of the kinds of examples."""
    easy_pools: int = 4
    """Number of first pools that keep short sequences only."""


class PlannerTrainer(Trainer):
    """A training run of braid-mini in a folder."""

    recipe: PlannerRecipe

    def evaluate(self) -> dict[str, float]:
        """Rates on a few questions of the held-out part of the planning set."""
        self._set_training(False)
        rates = exact_plans(self.model, self.tokenizer, atlas_examples("heldout", 48, seed=101)).facts()
        self._set_training(True)
        return rates

    def _make_source(self) -> PackedSource:
        return PackedSource(
            self.tokenizer,
            seed=self.recipe.seed,
            batch_tokens=self.recipe.batch_tokens,
            mixture=self.recipe.mixture,
            easy_pools=self.recipe.easy_pools,
        )

    def _make_tokenizer(self) -> PreTrainedTokenizerFast:
        if self.start is not None:
            load_tokenizer(self.start).save_pretrained(self.folder)
        if not (self.folder / "tokenizer.json").exists():
            tokenizer = train_tokenizer(
                vocab_size=self.recipe.vocab_size,
                examples=self.recipe.tokenizer_examples,
                seed=self.recipe.seed,
            )
            tokenizer.save_pretrained(self.folder)
        return load_tokenizer(self.folder)


def continue_from(recipe: PlannerRecipe, folder: Path) -> PlannerRecipe:
    """`recipe` for a run that begins with the weights and tokenizer of the exported model in `folder`.

    Raises:
        StartError: `folder` holds no model with its figures, or one that saw the questions of the recipe's
            seed.
    """
    if not ((folder / "model.safetensors").is_file() and (folder / FACTS).is_file()):
        raise StartError(
            f"{str(folder)!r} holds no model: give the folder that has its model.safetensors and {FACTS}"
        )
    if recipe.seed in seeds(read_training(folder)):
        raise StartError(
            f"the model in {str(folder)!r} saw the questions of seed {recipe.seed}; give another seed"
        )
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
    return replace(recipe, start=digest, easy_pools=0)


def seeds(training: dict[str, Any]) -> list[int]:
    """The seeds of a recorded run and of those before it."""
    before = training.get("before")
    return [training["recipe"]["seed"], *(seeds(before) if before else [])]
