"""What architectures run over segments: reasons against those that do not, and a check of those that may."""

from braid.engine.local.model.architectures.miniature import check_architecture
from braid.engine.local.model.architectures.positions import find_max_context
from braid.engine.local.model.architectures.refusals import ArchitectureError, refuse_config, refuse_network

__all__ = ["ArchitectureError", "check_architecture", "find_max_context", "refuse_config", "refuse_network"]
