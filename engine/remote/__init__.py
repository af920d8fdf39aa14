"""Any OpenAI-compatible server as an engine."""

from braid.engine.remote.context import RemoteContext
from braid.engine.remote.engine import RemoteEngine
from braid.engine.types import ToolCall, ToolChoice, ToolDeclaration

__all__ = ["RemoteContext", "RemoteEngine", "ToolCall", "ToolChoice", "ToolDeclaration"]
