"""How braid-planner is made: a low-rank adapter of a small chat model, trained on generated questions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from braid.planner.prompts import TURNS
from braid.training.batches import Batch
from braid.training.facts import FACTS, read_training
from braid.training.packed_attention import PACKED
from braid.training.planner_adapter.low_rank import (
    WEIGHTS,
    adapt,
    adapted_layers,
    load_adapter,
    merge,
    save_adapter,
)
from braid.training.planner_model import (
    BEYOND_MIXTURE,
    Mixture,
    PackedSource,
    atlas_examples,
    exact_plans,
    seeds,
)
from braid.training.trainer import Recipe, StartError, Trainer


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe(Recipe):
    """The recipe of braid-planner."""

    base: str = "smollm2-135m"
    """Name of the model that is adapted."""
    base_digest: str = ""
    """SHA-256 of its weights."""
    rank: int = 16
    """Columns of the small matrices."""
    alpha: float = 32.0
    """Their product counts alpha / rank times."""
    rate: float = 8e-4
    """Peak learning rate of the small matrices."""
    mixture: Mixture = BEYOND_MIXTURE
    """Shares of the kinds of examples."""
    batch_tokens: int = 1536
    tokens: int = 4_000_000
    """Tokens of the run, prompts included. The rate falls towards their end."""
    decay: float = 0.6
    compile: bool = False
    half: bool = False


class AdapterTrainer(Trainer):
    """A training run of braid-planner in a folder.

    Args:
        recipe: The recipe. A run is resumed with its own one.
        folder: Folder of the run.
        base: Folder of the model that is adapted.
        start: Folder of the adapter that the run begins with. None for a fresh one.
    """

    recipe: AdapterRecipe
    attention = PACKED

    def __init__(self, recipe: AdapterRecipe, folder: Path, *, base: Path, start: Path | None = None) -> None:
        self._base = base
        super().__init__(recipe, folder, start=start)
        merge(self.model)

    def export(self, folder: Path) -> None:
        """Write the adapter in the PEFT format, with what an engine has to know about its prompts."""
        save_adapter(
            self.model, folder, base=self.recipe.base, rank=self.recipe.rank, alpha=self.recipe.alpha
        )
        note = {
            "base": {"name": self.recipe.base, "sha256": [self.recipe.base_digest]},
            "prompt_style": "compact-turns",
            "roles": ["plan"],
        }
        (folder / "braid.json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")

    def evaluate(self) -> dict[str, float]:
        """Exact plans on a few questions of the held-out part of the planning set."""
        self._set_training(False)
        examples = atlas_examples("heldout", 32, seed=101)
        rates = exact_plans(self.model, self.tokenizer, examples, batch_size=8, markers=TURNS).facts()
        self._set_training(True)
        return rates

    def fraction_done(self) -> float:
        """The share of the run that is done: the largest of its shares in steps, time and tokens."""
        return max(super().fraction_done(), self.progress.tokens / self.recipe.tokens)

    def step(self, batch: Batch, fraction: float) -> float:
        """Do one optimizer step. Returns the mean loss per target token."""
        loss = super().step(batch, fraction)
        merge(self.model)
        return loss

    def _make_tokenizer(self) -> PreTrainedTokenizerFast:
        tokenizer = AutoTokenizer.from_pretrained(self._base)
        assert isinstance(tokenizer, PreTrainedTokenizerFast)
        return tokenizer

    def _make_model(self) -> Any:
        torch.manual_seed(self.recipe.seed)
        model = AutoModelForCausalLM.from_pretrained(self._base, dtype=torch.float32)
        adapt(model, rank=self.recipe.rank, alpha=self.recipe.alpha)
        return model

    def _make_source(self) -> PackedSource:
        return PackedSource(
            self.tokenizer,
            seed=self.recipe.seed,
            batch_tokens=self.recipe.batch_tokens,
            mixture=self.recipe.mixture,
            easy_pools=0,
            max_length=self.recipe.batch_tokens,
            sizes=(6, 10),
            pool=32,
            markers=TURNS,
        )

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        small = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return [torch.optim.AdamW(small, lr=self.recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)]

    def _trained_state(self) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self.model.state_dict().items() if _is_small(name)}

    def _load_trained(self, state: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(state, strict=False)
        merge(self.model)

    def _begin_with(self, folder: Path) -> None:
        try:
            load_adapter(self.model, folder)
        except (KeyError, RuntimeError) as error:
            raise StartError(f"the adapter in {str(folder)!r} has another shape: {error}") from error

    def _flops_per_token(self) -> int:
        """Forward, and backward through the frozen weights: four for each weight of the blocks."""
        return 4 * sum(layer.frozen.numel() for _, layer in adapted_layers(self.model))


def _is_small(name: str) -> bool:
    return name.endswith((".up", ".down"))


def continue_from(recipe: AdapterRecipe, folder: Path) -> AdapterRecipe:
    """`recipe` for a run that begins with the adapter in `folder`.

    Raises:
        StartError: `folder` holds no adapter with its figures, or one that saw the questions of the recipe's
            seed.
    """
    if not ((folder / WEIGHTS).is_file() and (folder / FACTS).is_file()):
        raise StartError(
            f"{str(folder)!r} holds no adapter: give the folder that has its {WEIGHTS} and {FACTS}"
        )
    if recipe.seed in seeds(read_training(folder)):
        raise StartError(
            f"the adapter in {str(folder)!r} saw the questions of seed {recipe.seed}; give another seed"
        )
    return replace(recipe, start=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16])
