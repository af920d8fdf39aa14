"""The tool `search`: one look-up in the offline atlas, or one query such as "highest mountain in Asia".

The atlas answers in a fraction of a millisecond. These environment variables add a latency, so that runs show
what concurrent look-ups gain when each takes as long as a web request:

- `BRAID_SEARCH_LATENCY`: median seconds that each call waits before it answers. The default is 0.
- `BRAID_SEARCH_JITTER`: standard deviation of the logarithm of the wait. The default is 0: every call waits
  alike. The wait is log-normal and drawn from a seed and the query, so that the same query waits as long in
  every run.
- `BRAID_SEARCH_SEED`: that seed, any text. The default is 0.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from braid.executors.builtin.atlas import Atlas, Fact, ask, load_atlas
from braid.executors.tools import Tool, ToolUnavailableError, tool

MAX_LATENCY = 60.0
"""Longest latency in seconds, also for draws of the log-normal."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Simulated latency of look-ups: log-normal."""

    median: float = 0.0
    """Median, in seconds."""
    sigma: float = 0.0
    """Standard deviation of the logarithm."""
    seed: str = "0"

    @classmethod
    def from_environment(cls) -> Latency:
        """The artificial delay of each look-up, as the environment sets it for demos and tests.

        Raises:
            ToolUnavailableError: A variable is not a number in range.
        """
        return cls(
            median=_number("BRAID_SEARCH_LATENCY", most=MAX_LATENCY),
            sigma=_number("BRAID_SEARCH_JITTER", most=3.0),
            seed=os.environ.get("BRAID_SEARCH_SEED", "0"),
        )

    def of(self, query: str) -> float:
        """Seconds that this query waits, the same every time."""
        if not self.sigma:
            return self.median
        draw = random.Random(f"{self.seed}\n{query}").gauss(0.0, self.sigma)
        return min(MAX_LATENCY, self.median * math.exp(draw))


def _number(variable: str, *, most: float) -> float:
    text = os.environ.get(variable, "").strip() or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ToolUnavailableError(
            f"{variable} must be a number from 0 to {most:g}, got {text!r}", tool="search"
        )
    return value


def search_tool(atlas: Callable[[], Atlas]) -> Tool:
    """The tool `search`. Each call asks `atlas` for the atlas."""

    @tool(effect="pure", examples=('a = search("height of K2")',))
    async def search(query: str) -> Fact:
        """Look up one fact about a place, building, animal or planet, such as the height of a mountain.

        Args:
            query: the fact and the name, as in "height of K2". The name alone gives its main fact.
        """
        latency = Latency.from_environment().of(query)
        if latency:
            await asyncio.sleep(latency)
        return ask(atlas(), query) or atlas().lookup(query)

    return search


search = search_tool(load_atlas)
