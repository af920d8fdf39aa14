"""The tool `rank`: names in the order of their values."""

from __future__ import annotations

import math
from typing import Literal

from braid.executors.tools import ToolArgumentError, tool


@tool(effect="pure", inline=True)
def rank(
    names: list[str],
    values: list[float],
    order: Literal["descending", "ascending"] = "descending",
) -> list[str]:
    """Sort names by their values, the largest first unless told otherwise.

    Names with equal values keep the order in which they were given.

    Args:
        names: what to sort.
        values: one number for each name. Looked-up facts count as their value.
        order: "descending" puts the largest value first, "ascending" the smallest.
    """
    if len(names) != len(values):
        raise ToolArgumentError(
            f"rank: there must be one value for each name, got {len(names)} names and {len(values)} values",
            tool="rank",
        )
    for name, value in zip(names, values, strict=True):
        if math.isnan(value):
            raise ToolArgumentError(f"rank: the value of {name!r} is not a number (nan)", tool="rank")
    pairs = sorted(zip(values, names, strict=True), key=lambda pair: pair[0], reverse=order == "descending")
    return [name for _, name in pairs]
