"""Voting over candidate answers; shared by every method that samples a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from braid.reasoning.answers import canonical
from braid.reasoning.method import Candidate


@dataclass(frozen=True)
class Group:
    """Candidates that gave the same answer: the first spelling seen, their indexes, their summed weight."""

    answer: str
    members: tuple[int, ...]
    weight: float


def group_answers(candidates: Sequence[Candidate], *, key: Callable[[str], str] = canonical) -> list[Group]:
    """Candidates by answer, heaviest group first; among equals the one seen first. No answer, no group."""
    members: dict[str, list[int]] = {}
    for index, candidate in enumerate(candidates):
        if candidate.answer is not None:
            members.setdefault(key(candidate.answer), []).append(index)
    groups = [
        Group(candidates[ids[0]].answer or "", tuple(ids), sum(candidates[i].weight for i in ids))
        for ids in members.values()
    ]
    return sorted(groups, key=lambda g: -g.weight)
