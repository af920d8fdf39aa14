"""engine/remote: any OpenAI-compatible server behind the engine's face."""

from braid.engine.remote.context import RemoteContext
from braid.engine.remote.engine import RemoteEngine

__all__ = ["RemoteContext", "RemoteEngine"]
