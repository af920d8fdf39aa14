"""An MCP server that misbehaves on request.

`python misbehaving_mcp_server.py [FOLDER]`. FOLDER counts its starts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations

READ_ONLY = ToolAnnotations(read_only_hint=True)
server = MCPServer("misbehaving")
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
if folder is not None:
    with (folder / "starts").open("a") as file:
        file.write("x")


@server.tool(annotations=READ_ONLY)
async def echo(text: str, times: int = 1) -> str:
    """Give the text back"""
    return text * times


@server.tool(annotations=READ_ONLY)
async def hang() -> str:
    """Never answer"""
    await anyio.sleep_forever()
    return ""


@server.tool(annotations=READ_ONLY)
async def die_once() -> str:
    """Die the first time, answer the second"""
    assert folder is not None
    if len((folder / "starts").read_text()) == 1:
        sys.stderr.write("going down\n")
        os._exit(3)
    return "back"


@server.tool()
async def die_while_writing() -> str:
    """A mutating tool whose fate nobody knows"""
    assert folder is not None
    with (folder / "written").open("a") as file:
        file.write("x")
    os._exit(3)


@server.tool(annotations=READ_ONLY)
async def flood(megabytes: int, context: Context) -> str:
    """A lot of notifications, log lines and a huge result"""
    for number in range(200):
        await context.report_progress(number, 200)
    sys.stderr.write("noise\n" * 100_000)
    return "x" * (megabytes * 1_000_000)


@server.tool(annotations=READ_ONLY)
async def fail() -> str:
    """Say no"""
    raise ValueError("no such thing")


@server.resource("note://one")
def note() -> str:
    return "the content of the note"


if __name__ == "__main__":
    server.run()
