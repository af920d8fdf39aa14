"""braid-countdown: its recipe, measurement and card."""

from braid.training.countdown_model.commands import improve_countdown, measure_countdown, train_countdown
from braid.training.countdown_model.recipe import CountdownRecipe, CountdownTrainer

__all__ = [
    "CountdownRecipe",
    "CountdownTrainer",
    "improve_countdown",
    "measure_countdown",
    "train_countdown",
]
