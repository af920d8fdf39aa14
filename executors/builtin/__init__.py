"""The tools that come with Braid: `search`, `calculate`, `rank`, `python`, `now`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from braid.executors.tools import Tool, UnknownToolError
from braid.lazy import lazy_names

if TYPE_CHECKING:
    from braid.executors.builtin.atlas import answer_query
    from braid.executors.builtin.search import search_tool

__all__ = ["answer_query", "builtin_tools", "search_tool"]

__getattr__ = lazy_names(
    __name__,
    {
        "braid.executors.builtin.atlas": ("answer_query",),
        "braid.executors.builtin.search": ("search_tool",),
    },
)

_NAMES: Final = ("search", "calculate", "rank", "python", "now")
"""Each tool is in the module of its name in this folder."""


def builtin_tools(*names: str) -> list[Tool]:
    """The tools that come with Braid: those named, in that order, or all of them.

    A tool's module is imported when the tool is asked for: `braid --help` needs none of them.

    Raises:
        UnknownToolError: No built-in tool has that name.
    """
    chosen: list[Tool] = []
    for name in names or _NAMES:
        if name not in _NAMES:
            raise UnknownToolError(
                f"no built-in tool named {name!r}; there are: {', '.join(_NAMES)}", tool=name
            )
        chosen.append(getattr(import_module(f"{__name__}.{name}"), name))
    return chosen
