"""GRPO on our own engine: at toy size the reward rises, and every sequence of a rollout is learned from."""

from __future__ import annotations

import math

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from braid.engine import Engine, SamplingParams
from braid.training.countdown_model.recipe import Spawning, countdown_tokenizer
from braid.training.grpo import GRPO, GRPORecipe, Outcome, advantages
from braid.training.qwen3 import Shape, build_model

SHAPE = Shape(hidden=32, layers=1, feed_forward=64, heads=2, key_value_heads=2, head_size=16, positions=64)


class Saying:
    """Pays for each answer word that is the last word of the question.

    A try makes two calls, as a parent and a thread do.
    """

    async def attempt(self, engine: Engine, place: int, *, seed: int) -> Outcome:
        wanted = ("red", "blue")[place % 2]
        reward = 0.0
        for part in range(2):
            async with await engine.prefill(f"say {wanted}") as context:
                params = SamplingParams(max_tokens=2, temperature=1.0, seed=seed + part)
                (completion,) = await engine.generate(context, params)
                completion.context.release()
                reward += completion.text.split().count(wanted) / 4
        assert engine.open_contexts() >= 0
        return Outcome(reward, threads=1)


def toy_tokenizer() -> PreTrainedTokenizerFast:
    words = ("<|pad|>", "<|end|>", "<|unknown|>", "say", "red", "blue", "green", "black")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")


async def test_the_reward_rises() -> None:
    tokenizer = toy_tokenizer()
    recipe = GRPORecipe(prompts=4, group=8, rate=2e-2, kl=0.001)
    trainer = GRPO(build_model(SHAPE, tokenizer, seed=0), tokenizer, Saying(), recipe)
    rewards = [(await trainer.iterate()) for _ in range(12)]
    assert rewards[0].reward < 0.35
    assert sum(r.reward for r in rewards[-3:]) / 3 > 0.7, [r.reward for r in rewards]
    assert rewards[-1].divergence > 0.05
    assert rewards[-1].threads == 1.0


async def test_rollouts_hold_every_sequence() -> None:
    tokenizer = toy_tokenizer()
    trainer = GRPO(build_model(SHAPE, tokenizer, seed=0), tokenizer, Saying(), GRPORecipe(prompts=2, group=3))
    groups = await trainer.rollouts()
    assert [len(group) for group in groups] == [3, 3]
    for place, group in enumerate(groups):
        for rollout in group:
            assert [s.context for s in rollout.segments] == [f"say {('red', 'blue')[place]}"] * 2
            assert all(1 <= len(segment.sampled) <= 2 for segment in rollout.segments)
    again = await trainer.rollouts()
    assert [[r.segments for r in g] for g in again] == [[r.segments for r in g] for g in groups]


async def test_an_untrained_countdown_model_can_be_tried() -> None:
    tokenizer = countdown_tokenizer()
    shape = Shape(
        hidden=32, layers=1, feed_forward=64, heads=2, key_value_heads=2, head_size=16, positions=512
    )
    model = build_model(shape, tokenizer, seed=0)
    before = [p.detach().clone() for p in model.parameters()]
    trainer = GRPO(model, tokenizer, Spawning(), GRPORecipe(prompts=1, group=2))
    done = await trainer.iterate()
    assert done.reward == 0.0
    # Nothing was better than anything else, and the model is the first one still: there is nothing to learn.
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(old, new.detach(), atol=1e-4, rtol=0)


def test_advantages_are_centred_and_scaled() -> None:
    assert advantages([1.0, 1.0, 1.0]) == [0.0, 0.0, 0.0]
    found = advantages([1.0, 0.0, 0.0, 0.0])
    assert sum(found) == pytest.approx(0.0)
    assert math.isclose(found[0], 0.75 / math.sqrt(0.1875))
