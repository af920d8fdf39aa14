"""Answers that are read out of texts, and spellings that count as the same."""

from __future__ import annotations

import pytest

from braid.reasoning import canonical, extract_answer, last_boxed


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
        ("I thought the answer is 5, but the answer is 6.", "6"),
        ("Answer: 5? No. Final answer: the answer is 6", "6"),
        ("The answer is 6, not 5.", "6"),
        ("The answer is 1,250. I checked it twice.", "1,250"),
        ("Answer:\n42\nGood luck!", "42"),
        ("The answer is .5.", ".5"),
        ("The answer is 6, 7 and 8.", "6, 7 and 8"),
    ],
)
def test_the_answer_is_read_out_of_the_text(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


def test_last_boxed_needs_balance() -> None:
    assert last_boxed(r"\boxed{a{b}c}") == "a{b}c"
    assert last_boxed(r"\boxed{never closed") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,642", "1642.0"),
        ("The Nile", "nile"),
        ("  Paris. ", "paris"),
        ("0", "-0.00"),
        ("1e3", "1000"),
        (".5", "0.5"),
        ("-.50.", "-0.5"),
        ("'+.5'", "0.5"),
        ("5.", "5"),
    ],
)
def test_spellings_of_one_answer_count_as_the_same(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_different_answers_stay_apart() -> None:
    assert len({canonical(x) for x in ("10", "1", "0.1", "-1", "1,2", "a b", "ab", ".5", "5")}) == 9
