"""engine: context in, tokens out. It is the lowest room of Braid and imports no other room."""

from braid.engine.base import Context, Engine
from braid.engine.connect import connect
from braid.engine.errors import (
    BraidError,
    BudgetExceededError,
    CapabilityError,
    ContextLengthError,
    EngineConnectionError,
    EngineError,
    EngineResponseError,
    EngineURIError,
    InvalidParamsError,
)
from braid.engine.events import Envelope, Event, UnknownEventError
from braid.engine.prompts import plain_chat
from braid.engine.scope import Budget, Price, budget
from braid.engine.scripted import ScriptedEngine
from braid.engine.types import (
    Capability,
    Completion,
    EngineInfo,
    Grammar,
    Message,
    Prompt,
    SamplingParams,
    Token,
    Usage,
)
from braid.engine.wrapper import EngineWrapper

__all__ = [
    "BraidError",
    "Budget",
    "BudgetExceededError",
    "Capability",
    "CapabilityError",
    "Completion",
    "Context",
    "ContextLengthError",
    "Engine",
    "EngineConnectionError",
    "EngineError",
    "EngineInfo",
    "EngineResponseError",
    "EngineURIError",
    "EngineWrapper",
    "Envelope",
    "Event",
    "Grammar",
    "InvalidParamsError",
    "Message",
    "Price",
    "Prompt",
    "SamplingParams",
    "ScriptedEngine",
    "Token",
    "UnknownEventError",
    "Usage",
    "budget",
    "connect",
    "plain_chat",
]
