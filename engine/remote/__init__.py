"""Any OpenAI-compatible server as an engine."""

from braid.engine.remote.context import RemoteContext
from braid.engine.remote.engine import RemoteEngine

__all__ = ["RemoteContext", "RemoteEngine"]
