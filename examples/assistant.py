"""An assistant for a session: it remembers, uses MCP servers and plugins, asks back, and sends another agent.

Install: pip install 'braid-agents[local,mcp]', and uv, which launches the servers of examples/mcp.json.

    python examples/assistant.py                        # built-in tools and those of installed plugins
    python examples/assistant.py examples/mcp.json      # and the tools of MCP servers
    BRAID_ENGINE=openai:http://HOST:8000/v1#MODEL python examples/assistant.py examples/mcp.json

The embedded model manages facts and follow-ups ("How high is K2?", "And Mont Blanc?", "and in feet?") and
single calls of servers in the words of their tools ("What is the current time in the timezone Asia/Tokyo?").
A chat model, which BRAID_ENGINE names, also asks back, sends the geographer, and reads repositories. Calls
that may change something are approved by you. An empty line or Ctrl-D ends the session.

Change first: the servers in examples/mcp.json, and the geographer, which may be any agent.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from braid import Agent, BraidError, RunResult, connect
from braid.engine import Engine, Message
from braid.executors.builtin import builtin_tools
from braid.executors.scheduler import AskPerson, ToolCallRequest
from braid.executors.tools import load_installed
from braid.orchestrator import load_settings

INSTRUCTIONS = """\
You are an assistant. Ask the person with ask("...") where a question can be read in two ways. Leave \
questions about geography that need more than one fact to `geographer`."""


def at_terminal(question: str) -> str:
    """Put a question of the plan to the person."""
    return input(f"{question}\n? ")


def allow(request: ToolCallRequest) -> bool:
    """Ask before a tool changes something."""
    return input(f"Allow {request.tool} {dict(request.args)}? [y/N] ").strip().lower() in ("y", "yes")


def make_agent(engine: Engine, mcp: Path | None = None, *, ask: AskPerson = at_terminal) -> Agent:
    """The assistant, and the geographer inside it. They share an engine, which the caller closes."""
    geographer = Agent(engine, tools=builtin_tools("search", "calculate", "rank"), max_rounds=2)
    send = geographer.as_tool(
        "geographer", "Answers a question about geography in full sentences.", tokens=20_000
    )
    tools = [*builtin_tools("search", "calculate", "rank", "python"), send, *load_installed()]
    if mcp is None:
        tools += builtin_tools("now")  # it knows UTC only, and the small model prefers it to a server
    return Agent(engine, tools=tools, mcp=mcp, instructions=INSTRUCTIONS, ask=ask, approve=allow)


def said(result: RunResult[object]) -> str:
    """What the person reads: the answer, or why there is none and what would help."""
    if result.complete:
        return result.answer
    return "\n".join(filter(None, (f"({result.status}) {result.reason}", result.hint)))


async def session(agent: Agent) -> None:
    """Answer line by line. Each question knows those before it."""
    history: Sequence[Message] = ()
    while question := input("> ").strip():  # noqa: ASYNC250 (nothing else runs meanwhile)
        try:
            result = await agent.run(question, history=history)
        except BraidError as error:
            print(f"error: {error}")
            continue
        print(said(result))
        history = result.history


async def main(mcp: Path | None) -> None:
    """Hold a session with the engine of the settings."""
    async with await connect(load_settings().engine) as engine, make_agent(engine, mcp) as agent:
        await agent.open()  # starts the servers
        print(f"{engine.info.uri}, tools: {', '.join(tool.name for tool in agent.tools)}")
        await session(agent)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
    except EOFError:
        pass
    except BraidError as error:
        sys.exit(f"error: {error}")
