"""braid-mini: its examples, tokenizer, recipe, measurement and card."""

from braid.training.planner_model.commands import measure_model, train_mini
from braid.training.planner_model.examples import BEYOND_MIXTURE, Example, Mixture, draw_example, draw_group
from braid.training.planner_model.measure import atlas_examples, exact_plans
from braid.training.planner_model.packing import PackedSource
from braid.training.planner_model.recipe import PlannerRecipe, PlannerTrainer, seeds

__all__ = [
    "BEYOND_MIXTURE",
    "Example",
    "Mixture",
    "PackedSource",
    "PlannerRecipe",
    "PlannerTrainer",
    "atlas_examples",
    "draw_example",
    "draw_group",
    "exact_plans",
    "measure_model",
    "seeds",
    "train_mini",
]
