"""Groups of candidates that gave the same answer, for a vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from braid.reasoning.answers import canonical
from braid.reasoning.method import Candidate


@dataclass(frozen=True)
class Group:
    """Candidates that gave the same answer."""

    answer: str
    """The first spelling seen."""
    members: tuple[int, ...]
    """Indexes of the candidates."""
    weight: float
    """Sum of their weights."""


def group_answers(candidates: Sequence[Candidate], *, key: Callable[[str], str] = canonical) -> list[Group]:
    """Group candidates by their answers, heaviest group first, among equals the one seen first.

    Candidates without an answer are in no group.

    Args:
        candidates: The candidates.
        key: Answers with the same key count as the same.
    """
    members: dict[str, list[int]] = {}
    for index, candidate in enumerate(candidates):
        if candidate.answer is not None:
            members.setdefault(key(candidate.answer), []).append(index)
    groups = [
        Group(candidates[ids[0]].answer or "", tuple(ids), sum(candidates[index].weight for index in ids))
        for ids in members.values()
    ]
    return sorted(groups, key=lambda group: -group.weight)
