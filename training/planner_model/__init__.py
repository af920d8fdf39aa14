"""braid-mini: its examples, tokenizer, recipe, measurement and card."""

from braid.training.planner_model.card import FACTS, machine, paragraph
from braid.training.planner_model.commands import measure_model, train_mini, train_with_bar
from braid.training.planner_model.examples import DEFAULT_MIXTURE, Example, Mixture, draw_group
from braid.training.planner_model.measure import atlas_examples, measure
from braid.training.planner_model.tokenizer import PAD, load_tokenizer, token_id, train_tokenizer

__all__ = [
    "DEFAULT_MIXTURE",
    "FACTS",
    "PAD",
    "Example",
    "Mixture",
    "atlas_examples",
    "draw_group",
    "load_tokenizer",
    "machine",
    "measure",
    "measure_model",
    "paragraph",
    "token_id",
    "train_mini",
    "train_tokenizer",
    "train_with_bar",
]
