"""Groups of candidates."""

from __future__ import annotations

from braid.reasoning import Candidate, group_answers


def candidate(answer: str | None, weight: float = 1.0) -> Candidate:
    return Candidate(text=answer or "", answer=answer, weight=weight)


def test_the_heaviest_group_wins_and_ties_go_to_the_first_seen() -> None:
    groups = group_answers(
        [candidate("5"), candidate("7"), candidate(None), candidate("7.0"), candidate("5.0")]
    )
    assert [(g.answer, g.members) for g in groups] == [("5", (0, 4)), ("7", (1, 3))]
    weighted = group_answers([candidate("5"), candidate("7", 3.0)])
    assert weighted[0].answer == "7"
    assert group_answers([candidate(None)]) == []
