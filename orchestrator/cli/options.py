"""What the commands that run something have in common: from options to an Agent, and from a coroutine to an exit code."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer

from braid.engine import Budget, Price
from braid.executors import ToolRegistry
from braid.executors.scheduler import Approve, AskPerson
from braid.orchestrator.agent import Agent
from braid.orchestrator.cli.group import EXIT_INTERRUPTED
from braid.orchestrator.cli.interrupts import run_interruptible
from braid.orchestrator.default_tools import registry_of
from braid.orchestrator.settings import load_settings

T = TypeVar("T")


def read_price(text: str) -> tuple[str, Price]:
    """`MODEL=PROMPT/GENERATED` or `MODEL=PROMPT/CACHED/GENERATED`, in money for a million tokens.

    Raises:
        typer.BadParameter: it is not written like that.
    """
    model, _, amounts = text.rpartition("=")
    try:
        numbers = [float(amount) for amount in amounts.split("/")]
    except ValueError:
        numbers = []
    if not model or len(numbers) not in (2, 3) or min(numbers) < 0:
        raise typer.BadParameter(f"--price takes MODEL=PROMPT/GENERATED per million tokens, got {text!r}")
    cached = numbers[1] if len(numbers) == 3 else None
    return model, Price(prompt=numbers[0], cached=cached, generated=numbers[-1])


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `run`, `plan` and `repl` as they were given; None is the default of the settings."""

    question: str = ""
    engine: str | None = None
    tools: str | None = None
    mcp: Path | None = None
    max_rounds: int | None = None
    budget_tokens: int | None = None
    budget_seconds: float | None = None
    budget_calls: int | None = None
    budget_cost: float | None = None
    budget_soft: float | None = None
    prices: Sequence[str] = ()
    seed: int | None = None
    threads: int | None = None
    sequential: bool = False
    yes: bool = False
    journal: bool | None = None

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
            mcp=self.mcp,
            max_rounds=self.max_rounds,
            seed=self.seed,
            threads=self.threads,
            approve=approve,
            ask=ask,
            journal=load_settings().journal if self.journal is None else self.journal,
        )

    def budget(self) -> Budget | None:
        """The limits of one run, whose clock starts now."""
        limits = (self.budget_tokens, self.budget_seconds, self.budget_calls, self.budget_cost)
        if all(limit is None for limit in limits) and not self.prices:
            return None
        return Budget(
            tokens=self.budget_tokens,
            seconds=self.budget_seconds,
            calls=self.budget_calls,
            cost=self.budget_cost,
            soft=self.budget_soft,
            prices=dict(read_price(text) for text in self.prices),
        )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end. Ctrl-C cancels it, waits for what it started, and ends the command with exit code 130; a second
    one does not wait."""
    try:
        return run_interruptible(work)
    except KeyboardInterrupt:
        typer.echo("braid: interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
