"""engine: context in, tokens out. The ground floor of Braid; it imports no other room."""

from braid.engine.base import Context, Engine
from braid.engine.connect import connect
from braid.engine.errors import (
    BraidError,
    BudgetExceededError,
    CapabilityError,
    ContextLengthError,
    ContextReleasedError,
    EngineConnectionError,
    EngineError,
    EngineResponseError,
    EngineURIError,
    InvalidParamsError,
)
from braid.engine.events import Envelope, Event, UnknownEventError
from braid.engine.scope.budget import Budget, Price, budget
from braid.engine.types import (
    Capability,
    Completion,
    EngineInfo,
    FinishReason,
    Grammar,
    Message,
    Prompt,
    SamplingParams,
    Token,
    Usage,
    branch_seed,
)

__all__ = [
    "BraidError",
    "Budget",
    "BudgetExceededError",
    "Capability",
    "CapabilityError",
    "Completion",
    "Context",
    "ContextLengthError",
    "ContextReleasedError",
    "Engine",
    "EngineConnectionError",
    "EngineError",
    "EngineInfo",
    "EngineResponseError",
    "EngineURIError",
    "Envelope",
    "Event",
    "FinishReason",
    "Grammar",
    "InvalidParamsError",
    "Message",
    "Price",
    "Prompt",
    "SamplingParams",
    "Token",
    "UnknownEventError",
    "Usage",
    "branch_seed",
    "budget",
    "connect",
]
