"""Tools: typed functions that a plan may call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Effect = Literal["pure", "idempotent", "mutating"]
"""What calling a tool does to the world: nothing, the same thing however often, or something new each time."""


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """What a planner sees of a tool: JSON schemas of the argument object and of the result."""

    name: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None = None
    effect: Effect = "pure"
    examples: tuple[str, ...] = field(default=())
