"""Repairs that differ from what they repair: another way at the place where the model was least sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from braid.engine import Token
from braid.planner.errors import PlanError


@dataclass(frozen=True, kw_only=True)
class Detour:
    """Where the next attempt leaves the text of the last one."""

    kept: str
    """The beginning of the refused statement that the attempt goes on from."""
    banned: int
    """Id of the token that must not come next."""


def repeats(errors: Sequence[PlanError]) -> bool:
    """Whether the last mistake is the one before it again."""
    if len(errors) < 2:
        return False
    last, before = errors[-1], errors[-2]
    return (last.message, last.source_line) == (before.message, before.source_line)


def detour(tokens: Sequence[Token], *, before: str, prefix: str) -> Detour | None:
    """The way out of a statement that a model wrote twice.

    Args:
        tokens: What the model wrote, with ids and log-probabilities.
        before: The text that it went on from.
        prefix: The text that it is to go on from now, a beginning of all this.

    Returns:
        None where nothing is known about the tokens of the refused statement.
    """
    text = before + "".join(token.text for token in tokens)
    place = len(before)
    unsure: tuple[float, int, int] | None = None
    for token in tokens:
        if place >= len(prefix) and token.id is not None and token.text.strip():
            found = (token.logprob or 0.0, place, token.id)
            unsure = found if unsure is None else min(unsure, found)
        place += len(token.text)
    if unsure is None or not text.startswith(prefix):
        return None
    _, place, banned = unsure
    return Detour(kept=text[len(prefix) : place], banned=banned)
