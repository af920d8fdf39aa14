"""What the commands that run something have in common: from options to an Agent, and from a coroutine to an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import typer

from engine import Budget
from executors import Approve, AskPerson, ToolRegistry
from orchestrator.agent import Agent
from orchestrator.cli.group import EXIT_INTERRUPTED
from orchestrator.toolbox import registry_of

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `run`, `plan` and `repl` as they were given; None is the default of the settings."""

    question: str = ""
    engine: str | None = None
    tools: str | None = None
    max_rounds: int | None = None
    budget_tokens: int | None = None
    budget_seconds: float | None = None
    budget_calls: int | None = None
    seed: int | None = None
    threads: int | None = None
    sequential: bool = False
    yes: bool = False

    def registry(self) -> ToolRegistry:
        """All tools, or those named by `--tools`; raises `UnknownToolError`."""
        known = registry_of(None)
        if self.tools is None:
            return known
        names = [name.strip() for name in self.tools.split(",") if name.strip()]
        return ToolRegistry([known.get(name) for name in dict.fromkeys(names)])

    def agent(self, *, approve: Approve | None = None, ask: AskPerson | None = None) -> Agent:
        return Agent(
            self.engine,
            tools=list(self.registry()),
            builtins=False,
            max_rounds=self.max_rounds,
            seed=self.seed,
            threads=self.threads,
            approve=approve,
            ask=ask,
        )

    def budget(self) -> Budget | None:
        """The limits of one run, whose clock starts now."""
        if self.budget_tokens is self.budget_seconds is self.budget_calls is None:
            return None
        return Budget(tokens=self.budget_tokens, seconds=self.budget_seconds, calls=self.budget_calls)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. Ctrl-C cancels it, waits for what it started, and ends the command with exit code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("braid: interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
