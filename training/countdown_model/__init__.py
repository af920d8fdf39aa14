"""braid-countdown: its recipe, measurement and card."""

from braid.training.countdown_model.commands import improve_countdown, measure_countdown, train_countdown

__all__ = ["improve_countdown", "measure_countdown", "train_countdown"]
