"""Which tools there are: a registry of named tools, filled by hand, from the built-in ones, and from installed plugins."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast

from braid.executors.tools.errors import ToolDefinitionError, UnknownToolError
from braid.executors.tools.spec import ToolSpec
from braid.executors.tools.tool import Tool

ENTRY_POINTS: Final = "braid.tools"
"""Distributions list their tools under this entry-point group."""


class ToolRegistry:
    """Tools by name, in the order in which they were added. Plain typed functions are made into tools."""

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self.has_mutating = False
        for one in tools:
            self.add(one)

    def add(self, one: Tool | Callable[..., Any]) -> Tool:
        """Add a tool, or a function as a tool.

        Raises:
            ToolDefinitionError: the name is taken, or the function cannot be a tool.
        """
        made = _as_tool(one)
        if made.name in self._tools:
            raise ToolDefinitionError(
                f"a tool named {made.name!r} is there already; give one of them another with @tool(name=...)",
                tool=made.name,
            )
        self._tools[made.name] = made
        self.has_mutating = self.has_mutating or made.spec.effect == "mutating"
        return made

    def get(self, name: str) -> Tool:
        """The tool of that name.

        Raises:
            UnknownToolError: there is none; the message names the nearest ones.
        """
        found = self._tools.get(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, self._tools, n=3)
        if near:
            hint = f"did you mean {' or '.join(repr(one) for one in near)}?"
        else:
            hint = f"there are: {', '.join(self._tools) or 'none'}"
        raise UnknownToolError(f"no tool named {name!r}; {hint}", tool=name)

    def specs(self) -> list[ToolSpec]:
        """What planners see, in the order of addition."""
        return [one.spec for one in self._tools.values()]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


def load_installed() -> list[Tool]:
    """The tools of installed plugins: entry points of the group `braid.tools`, sorted by name.

    An entry names a tool, a typed function, an iterable of these, or a function without parameters that makes them and says
    so (`def tools() -> list[Tool]`). A plugin that cannot be loaded is reported as a `RuntimeWarning`
    that names it, and the others go on.
    """
    found: dict[str, Tool] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        try:
            loaded = _tools_of(entry.load())
        except Exception as error:  # somebody else's code: whatever it raises must not stop ours
            _warn(entry, f"{type(error).__name__}: {error}")
            continue
        for one in loaded:
            if one.name in found:
                _warn(
                    entry, f"its tool {one.name!r} is left out, because another plugin has one of that name"
                )
            else:
                found[one.name] = one
    return list(found.values())


def _as_tool(one: Tool | Callable[..., Any]) -> Tool:
    return cast("Tool", one) if isinstance(one, Tool) else Tool(one)


def _tools_of(target: object) -> list[Tool]:
    if isinstance(target, Tool):
        return [target]
    if isinstance(target, Iterable):
        return [_as_tool(one) for one in cast("Iterable[Tool | Callable[..., Any]]", target)]
    if not callable(target):
        raise ToolDefinitionError(f"a tool, a function, or an iterable of these was expected, got {target!r}")
    returned = getattr(target, "__annotations__", {}).get("return")
    if _returns_tools(returned):
        return _tools_of(target())
    return [Tool(target)]


def _returns_tools(annotation: object) -> bool:
    """Whether a function annotated to return this is a factory of tools (`-> list[Tool]`), and not itself a tool."""
    shown = (
        annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "") + repr(annotation)
    )
    return "Tool" in shown.replace("ToolSpec", "").replace("ToolContext", "")


def _warn(entry: EntryPoint, why: str) -> None:
    origin = f" of {entry.dist.name}" if entry.dist is not None else ""
    warnings.warn(
        f"tool plugin {entry.name!r}{origin} ({entry.value}) was not loaded: {why}",
        RuntimeWarning,
        stacklevel=3,
    )
