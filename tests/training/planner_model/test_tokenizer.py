"""A tokenizer that makes copying easy."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from braid.training.planner_model.tokenizer import train_tokenizer
from braid.training.questions.invented_names import identifier, proper_name


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(vocab_size=640, examples=400)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
def test_decoding_is_lossless(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_name_has_the_same_tokens_everywhere(tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    rng = random.Random(seed)
    name, tool = proper_name(rng), identifier(rng)
    alone, tool_alone = tokenizer.encode(name), tokenizer.encode(tool)
    for text in (
        f"How tall is {name}?",
        f'a = {tool}("height of {name}")',
        f'rank(["{name}", "x"])',
        f"({name})",
    ):
        assert _holds(tokenizer.encode(text), alone), (name, text)
    assert _holds(tokenizer.encode(f"\n{tool}(query: str)"), tool_alone)
    assert _holds(tokenizer.encode(f"a = {tool}("), tool_alone)


def _holds(whole: list[int], part: list[int]) -> bool:
    return any(whole[i : i + len(part)] == part for i in range(len(whole)))
