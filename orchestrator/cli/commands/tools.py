"""`braid tools`: the tools that a plan may call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braid.executors.tools import ToolSpec
from braid.orchestrator.cli.options import (
    JsonOption,
    McpOption,
    ToolsFromOption,
    run_async,
    run_spec,
    selected_tools,
)
from braid.orchestrator.cli.output import console, one_line, print_json
from braid.planner.language import compact_signature

if TYPE_CHECKING:
    from rich.console import Console


HELP = """\
List the tools that a plan may call: built in, from installed plugins, and of MCP servers.

A package offers tools through the entry-point group braid.tools.
"""


def tools(as_json: JsonOption = False, mcp: McpOption = None, tools_from: ToolsFromOption = None) -> None:
    """Print the tools of plans."""
    sources = run_spec(tools_from=tools_from or None).tools_from
    specs = [tool.spec for tool in selected_tools(None, sources)]
    if mcp is not None:
        specs += run_async(_served(mcp))
    if as_json:
        print_json({"tools": [_document(spec) for spec in specs]})
    else:
        show_tools(specs, console())


async def _served(mcp: Path) -> list[ToolSpec]:
    from braid.executors.mcp import McpTools, read_mcp_config

    async with McpTools(read_mcp_config(mcp)) as tools:
        return [tool.spec for tool in tools]


def show_tools(specs: list[ToolSpec], target: Console) -> None:
    """Print one block for each tool: its signature as planners see it, its effect and its description."""
    from rich.text import Text

    for spec in specs:
        signature = compact_signature(replace(spec, description=""))
        target.print(Text(signature, style="bold"), Text(f"  {spec.effect}", style="dim"), sep="")
        target.print(Text(f"    {one_line(spec.description, 500)}"))


def _document(spec: ToolSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "description": spec.description,
        "effect": spec.effect,
        "parameters": spec.parameters,
        "returns": spec.returns,
        "examples": list(spec.examples),
    }
