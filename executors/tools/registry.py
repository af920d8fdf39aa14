"""The registry of a run's tools, and the tools of installed plugins."""

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
"""Entry-point group under which distributions list their tools."""


class ToolRegistry:
    """Tools by name, in the order in which they were added. Plain typed functions are made into tools.

    Threads and loops may share it once all tools are added.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self.has_mutating = False
        for tool in tools:
            self.add(tool)

    @classmethod
    def of(cls, target: object) -> ToolRegistry:
        """The tools of what a plugin or a module names.

        Args:
            target: A tool, a typed function, an iterable of these, or a factory. A factory has no parameters,
                and its annotation says that it returns tools.

        Raises:
            ToolDefinitionError: It is none of these.
        """
        return cls(_tools_of(target))

    def add(self, tool: Tool | Callable[..., Any]) -> Tool:
        """Add a tool, or a function as a tool.

        Raises:
            ToolDefinitionError: The name is taken, or the function cannot be a tool.
        """
        made = _as_tool(tool)
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
            UnknownToolError: There is none. The message names the nearest ones.
        """
        found = self._tools.get(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, self._tools, n=3)
        known = ", ".join(self._tools) or "none"
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {known}"
        raise UnknownToolError(f"no tool named {name!r}; {hint}", tool=name)

    def specs(self) -> list[ToolSpec]:
        """What planners see, in the order of addition."""
        return [tool.spec for tool in self._tools.values()]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


def load_installed() -> list[Tool]:
    """The tools of installed plugins: entry points of the group `braid.tools`, sorted by name.

    An entry names a tool, a typed function, an iterable of these, or a factory. A factory has no parameters,
    and its annotation says that it returns tools: `def tools() -> list[Tool]`. A plugin that cannot be loaded
    is reported as a `RuntimeWarning` that names it, and the others go on.
    """
    found: dict[str, Tool] = {}
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        try:
            loaded = _tools_of(entry.load())
        except Exception as error:  # a plugin's fault must not stop the program
            _warn(entry, f"{type(error).__name__}: {error}")
            continue
        for tool in loaded:
            if tool.name in found:
                _warn(
                    entry, f"its tool {tool.name!r} is left out, because another plugin has one of that name"
                )
            else:
                found[tool.name] = tool
    return list(found.values())


def _as_tool(tool: Tool | Callable[..., Any]) -> Tool:
    return cast("Tool", tool) if isinstance(tool, Tool) else Tool(tool)


def _tools_of(target: object) -> list[Tool]:
    if isinstance(target, Tool):
        return [target]
    if isinstance(target, Iterable):
        return [_as_tool(item) for item in cast("Iterable[Tool | Callable[..., Any]]", target)]
    if not callable(target):
        raise ToolDefinitionError(f"a tool, a function, or an iterable of these was expected, got {target!r}")
    returned = getattr(target, "__annotations__", {}).get("return")
    if _returns_tools(returned):
        return _tools_of(target())
    return [Tool(target)]


def _returns_tools(annotation: object) -> bool:
    """Whether a function with this return annotation is a factory of tools, and not itself a tool."""
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
