"""How braid-countdown is made: demonstrations of the symbolic search, with all modes in one model."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from braid.engine import Engine
from braid.evals.countdown import (
    LARGEST_NUMBER,
    MAX_THREADS,
    WORDS,
    Demonstration,
    Equation,
    Problem,
    attempt_spawn,
    demonstrate_direct,
    demonstrate_join,
    demonstrate_serial,
    demonstrate_spawn,
    draw_problem,
)
from braid.planner.prompts import STOP
from braid.training.batches import Batch, BatchSource, Encoded, collate
from braid.training.grpo import Outcome
from braid.training.qwen3 import Shape, build_model
from braid.training.tokens import PAD
from braid.training.trainer import Recipe, Trainer

WINDOW = 256
"""Tokens of the longest sequence in training. Longer searches are cut there."""

_UNKNOWN = "<|unknown|>"
_PROBLEMS = 1024
"""Problems whose sequences are sorted by length together."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Sequences of each kind per problem. The direct demonstration is always trained on."""

    serial: float = 0.08
    child: float = 0.18
    """The search of a thread. Its state is drawn from the ten most promising ones."""
    parent: float = 0.18
    """The parent with 0 to 10 threads, uniformly."""
    join: float = 0.1
    """The parent behind its join, with 0 to 10 threads, uniformly."""


@dataclass(frozen=True, kw_only=True)
class CountdownRecipe(Recipe):
    """The recipe of braid-countdown."""

    steps: int = 2000
    minutes: float | None = None
    batch_tokens: int = 8192
    numbers: int = 4
    shares: Shares = field(default_factory=Shares)
    shape: Shape = field(
        default_factory=lambda: Shape(
            hidden=192, layers=6, feed_forward=512, heads=6, key_value_heads=6, head_size=32, positions=512
        )
    )


class CountdownTrainer(Trainer):
    """A training run of braid-countdown in a folder."""

    recipe: CountdownRecipe

    def _make_tokenizer(self) -> PreTrainedTokenizerFast:
        tokenizer = countdown_tokenizer()
        tokenizer.save_pretrained(self.folder)
        return tokenizer

    def _make_model(self) -> Qwen3ForCausalLM:
        model = build_model(self.recipe.shape, self.tokenizer, seed=self.recipe.seed)
        embedding = model.model.embed_tokens.weight
        rows = [self.tokenizer.get_vocab()[str(number)] for number in range(LARGEST_NUMBER + 1)]
        with torch.no_grad():
            embedding[rows] = number_embeddings(embedding.shape[1], seed=self.recipe.seed) * embedding.std()
        return model

    def _make_source(self) -> CountdownSource:
        return CountdownSource(self.tokenizer, recipe=self.recipe)


class CountdownSource(BatchSource[Encoded]):
    """The demonstrations of all problems of a run, each a function of the seed and its place."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, recipe: CountdownRecipe) -> None:
        super().__init__(seed=recipe.seed, batch_tokens=recipe.batch_tokens)
        self.recipe = recipe
        self._ids = tokenizer.get_vocab()

    def rows(self, index: int) -> list[Encoded]:
        found: list[Encoded] = []
        for number in range(index * _PROBLEMS, (index + 1) * _PROBLEMS):
            rng = random.Random(f"countdown/train/{self.seed}/{number}")
            problem, solution = draw_problem(rng, "train", count=self.recipe.numbers)
            shown = demonstrations(problem, solution, self.recipe.shares, rng)
            found += [self.encode(demonstration) for demonstration in shown]
        return found

    def collate(self, rows: Sequence[Encoded]) -> Batch:
        return collate(rows, self._ids[PAD])

    def encode(self, shown: Demonstration) -> Encoded:
        """Token ids. A whole text is followed by the end token, unless it ends with the list of threads."""
        prompt = [self._ids[word] for word in shown.prompt.split()]
        text = [self._ids[word] for word in shown.text.split()]
        if not shown.text.endswith("END"):
            text.append(self._ids[STOP])
        return Encoded((prompt + text)[: WINDOW + 1], len(prompt))


def demonstrations(
    problem: Problem, solution: list[Equation], shares: Shares, rng: random.Random
) -> list[Demonstration]:
    """The demonstrations of one problem that are trained on, drawn by `shares`."""
    numbers, target = problem.numbers, problem.target
    shown = [demonstrate_direct(numbers, target, solution)]
    if rng.random() < shares.serial:
        shown.append(demonstrate_serial(numbers, target))
    if len(numbers) < 4:  # threads would have nothing to search
        return shown
    wanted = [rng.random() < share for share in (shares.child, shares.parent, shares.join)]
    if not any(wanted):
        return shown
    threads = rng.randint(0, MAX_THREADS)
    parent, spawned = demonstrate_spawn(numbers, target, MAX_THREADS)
    if wanted[0]:
        shown.append(rng.choice(spawned).child)
    if wanted[1] or threads == 0:
        parent, spawned = demonstrate_spawn(numbers, target, threads)
        shown.append(parent)
    if wanted[2] and threads > 0:
        shown.append(demonstrate_join(numbers, target, threads, spawned[:threads]))
    return shown


def countdown_tokenizer() -> PreTrainedTokenizerFast:
    """Words and the numbers 0 to 999, one token each, split at spaces."""
    words = (PAD, STOP, _UNKNOWN, *WORDS, *map(str, range(LARGEST_NUMBER + 1)))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=STOP,
        pad_token=PAD,
        unk_token=_UNKNOWN,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        padding_side="left",
    )


_PERIODS = (*range(2, 14), 16, 20, 25, 32, 40, 50, 64, 100, 128, 200, 256, 400, 512, 1000, 2000)
_LOG_RATES = (0.5, 1, 2, 3, 4, 6, 8, 12)


def number_embeddings(hidden: int, *, seed: int) -> torch.Tensor:
    """First embeddings of the numbers 0 to 999, (1000, hidden), with standard deviation 1.

    They are waves over the number and over its logarithm, turned at random. Sums and products are then turns
    of the waves. Trained models are seen to compute with these (arXiv 2406.03445), and need not find them
    first.
    """
    numbers = torch.arange(LARGEST_NUMBER + 1.0)[:, None]
    angles = torch.cat(
        [
            2 * math.pi * numbers / torch.tensor(_PERIODS),
            numbers.clamp(min=0.5).log() * torch.tensor(_LOG_RATES),
        ],
        dim=1,
    )
    waves = torch.cat([angles.cos(), angles.sin()], dim=1)
    generator = torch.Generator().manual_seed(seed)
    embeddings = waves @ torch.randn(waves.shape[1], hidden, generator=generator)
    return embeddings / embeddings.std()


class Spawning:
    """Spawn/join on training problems as a GRPO task: 1 to 10 threads, and a reward of 1 for a solution."""

    def __init__(self, *, numbers: int = 4, temperature: float = 1.0) -> None:
        self.numbers = numbers
        self.temperature = temperature

    async def attempt(self, engine: Engine, place: int, *, seed: int) -> Outcome:
        rng = random.Random(f"countdown/grpo/{place}")
        problem, _ = draw_problem(rng, "train", count=self.numbers)
        tried = await attempt_spawn(
            engine,
            problem,
            threads=rng.randint(1, MAX_THREADS),
            window=WINDOW,
            temperature=self.temperature,
            seed=seed,
        )
        return Outcome(float(tried.solved), tried.threads)
