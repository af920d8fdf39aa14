"""engine/remote: any OpenAI-compatible server behind the engine's face."""

from engine.remote.context import RemoteContext
from engine.remote.engine import RemoteEngine

__all__ = ["RemoteContext", "RemoteEngine"]
