"""Options of a run that are more than a value: model settings, history processors."""

from braid.orchestrator.options.history_processors import HistoryProcessor, processed
from braid.orchestrator.options.model_settings import MOST_SAMPLES, ModelSettings, Sampling
from braid.orchestrator.options.run_options import RunOptions

__all__ = [
    "MOST_SAMPLES",
    "HistoryProcessor",
    "ModelSettings",
    "RunOptions",
    "Sampling",
    "processed",
]
