"""braid-mini: its examples, tokenizer, recipe, measurement and card."""

from braid.training.planner_model.commands import measure_model, train_mini
from braid.training.planner_model.examples import Example, Mixture, draw_example
from braid.training.planner_model.recipe import PlannerRecipe, PlannerTrainer

__all__ = [
    "Example",
    "Mixture",
    "PlannerRecipe",
    "PlannerTrainer",
    "draw_example",
    "measure_model",
    "train_mini",
]
