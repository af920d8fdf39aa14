"""Reading answers and voting over them."""

from __future__ import annotations

import pytest

from braid.reasoning import Candidate, canonical, extract_answer, group_answers, last_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{4} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{unclosed and \boxed{7}", "7"),
        ("Thinking...\nAnswer: Paris (France)", "Paris (France)"),
        ("The final answer is **42**.", "42"),
        ("one\ntwo\n\n", "two"),
        ("", None),
        ("  \n ", None),
    ],
)
def test_the_answer_is_read_out_of_the_text(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_last_boxed_needs_balance() -> None:
    assert last_boxed(r"\boxed{a{b}c}") == "a{b}c"
    assert last_boxed(r"\boxed{never closed") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("1,642", "1642.0"), ("The Nile", "nile"), ("  Paris. ", "paris"), ("0", "-0.00"), ("1e3", "1000")],
)
def test_spellings_of_one_answer_count_as_the_same(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_different_answers_stay_apart() -> None:
    assert len({canonical(x) for x in ("10", "1", "0.1", "-1", "1,2", "a b", "ab")}) == 7


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
