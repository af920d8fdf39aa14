"""The tools of an agent: those it was given, built-in ones, and those of plugins."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from braid.executors import Tool, ToolRegistry
from braid.executors.builtin import builtin_tools
from braid.executors.tools import load_installed

ALWAYS_USEFUL = ("calculate", "rank")
"""Built-in tools that an agent with tools of its own gets too. Plans cannot do arithmetic by themselves."""


def registry_of(tools: Sequence[Tool | Callable[..., Any]] | None, *, builtins: bool = True) -> ToolRegistry:
    """The tools of an agent that was given `tools`.

    A plugin's tool gives way to a built-in one of its name, with a warning.

    Raises:
        ToolDefinitionError: A function cannot be a tool, or two given ones have one name.
    """
    registry = ToolRegistry(builtin_tools() if tools is None and builtins else tools or ())
    if tools is None:
        additional: list[Tool] = load_installed()
    else:
        additional = (
            [tool for tool in builtin_tools(*ALWAYS_USEFUL) if tool.name not in registry] if builtins else []
        )
    for tool in additional:
        if tool.name in registry:
            warnings.warn(
                f"the plugin tool {tool.name!r} is left out: a built-in one has that name",
                RuntimeWarning,
                stacklevel=3,
            )
        else:
            registry.add(tool)
    return registry
