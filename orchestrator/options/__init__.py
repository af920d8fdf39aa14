"""Options of a run that are more than a value: model settings, engines by role, history processors."""

from braid.orchestrator.options.engines import EngineOption, OpenEngines, Role, RoleEngines, address_of
from braid.orchestrator.options.history_processors import HistoryProcessor, processed
from braid.orchestrator.options.model_settings import ModelSettings, Sampling
from braid.orchestrator.options.run_options import RunOptions

__all__ = [
    "EngineOption",
    "HistoryProcessor",
    "ModelSettings",
    "OpenEngines",
    "Role",
    "RoleEngines",
    "RunOptions",
    "Sampling",
    "address_of",
    "processed",
]
