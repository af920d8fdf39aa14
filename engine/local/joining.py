"""KV joins: branches' views one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from engine.local.kv import View

Positions = Literal["longest", "sequence"]


def joined_views(
    parts: Sequence[tuple[View, ...]], shared: int, positions: Positions, temperature: float, scale: float
) -> tuple[tuple[View, ...], int]:
    """The views of a join of `parts`, which have their first `shared` tokens in common, and the position where it goes on."""
    base, _ = _split(parts[0], shared)
    start = max((view.position + view.length for view in base), default=0)
    joined = list(base)
    end, moved = start, 0
    for views in parts:
        _, added = _split(views, shared)
        for view in added:
            joined.append(replace(view, shift=view.shift + moved, temperature=temperature, scale=scale))
            end = max(end, view.position + view.length + moved)
        if positions == "sequence":
            moved = end - start
    return tuple(joined), end


def _split(views: tuple[View, ...], tokens: int) -> tuple[list[View], list[View]]:
    """The views of the first `tokens` tokens, and the rest."""
    first: list[View] = []
    rest: list[View] = []
    for view in views:
        here = min(max(tokens, 0), view.length)
        tokens -= here
        if here:
            first.append(replace(view, stop=view.start + here))
        if here < view.length:
            rest.append(replace(view, start=view.start + here))
    return first, rest
