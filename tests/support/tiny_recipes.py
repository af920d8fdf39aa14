"""Recipes of models that are trained in seconds."""

from __future__ import annotations

from braid.training.countdown_model import CountdownRecipe
from braid.training.planner_model import PlannerRecipe
from braid.training.qwen3 import Shape

TINY_PLANNER = PlannerRecipe(
    minutes=None,
    steps=16,
    batch_tokens=1024,
    vocab_size=640,
    tokenizer_examples=400,
    shape=Shape(
        hidden=32, layers=2, feed_forward=64, heads=2, key_value_heads=1, head_size=16, positions=1024
    ),
    matrix_rate=0.02,
    vector_rate=1e-2,
    warmup=0.05,
    easy_pools=0,
    compile=False,
)

TINY_COUNTDOWN = CountdownRecipe(
    steps=40,
    batch_tokens=1024,
    shape=Shape(
        hidden=32, layers=2, feed_forward=64, heads=2, key_value_heads=2, head_size=16, positions=512
    ),
    vector_rate=1e-2,
    warmup=0.05,
    compile=False,
)
