"""braid-planner: a low-rank adapter of a small chat model, its recipe and its card."""

from braid.training.planner_adapter.commands import train_planner
from braid.training.planner_adapter.low_rank import LowRankLinear, adapt, load_adapter, save_adapter
from braid.training.planner_adapter.recipe import AdapterRecipe, AdapterTrainer

__all__ = [
    "AdapterRecipe",
    "AdapterTrainer",
    "LowRankLinear",
    "adapt",
    "load_adapter",
    "save_adapter",
    "train_planner",
]
