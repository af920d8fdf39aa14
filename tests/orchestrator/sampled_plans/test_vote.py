"""Votes: which answers are the same, who wins, and what little agreement leads to."""

from __future__ import annotations

import pytest

from braid.executors.builtin.atlas import load_atlas
from braid.orchestrator.sampled_plans import PlanSampled
from braid.orchestrator.sampled_plans.vote import comparable, count_votes, same


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (0.1 + 0.2, 0.3, True),
        (3805, 3805.0, True),
        (3805, "3805 m", True),
        ("3,805 m", "3805 m", True),
        ("3805 m", "3805 km", False),
        ("3805 m", "-3805 m", False),
        (1234565, 1234564.9999999, True),
        (1.0, 1.001, False),
        ("the Nile", "Nile", True),
        ("Nile", "Amazon", False),
        ("yes", True, True),
        ("No", False, True),
        (True, 1, False),
        ("K2", "K3", False),
        ("K2", 2, False),
        ("Nile; 6650 km", "nile, 6650 km", True),
        ("Nile; 6650 km", "Nile; 6400 km", False),
        ("50%", "50 km", False),
        (None, None, True),
    ],
)
def test_answers_are_compared_as_people_would(a: object, b: object, equal: bool) -> None:
    left, right = (comparable(a),), (comparable(b),)
    assert same(left, right) is same(right, left) is equal
    assert not same(left, (*right, *right))


def test_a_fact_is_its_value_with_its_unit() -> None:
    fact = load_atlas().lookup("height of K2")
    assert comparable(fact) == "8611 m" and comparable(fact.value) == 8611
    assert same((comparable(fact),), (8611,))
    assert comparable(load_atlas().lookup("capital of France")) == "Paris"


def ballot(sample: int, answer: float | str, **more: object) -> PlanSampled:
    given = {"round": 0, "state": "answered", "plan": f"answer({answer})\n", "shown": str(answer), **more}
    return PlanSampled.model_validate({"sample": sample, "answer": (answer,), **given})


def test_of_equals_the_earliest_wins_and_weights_count() -> None:
    vote = count_votes([ballot(0, 1), ballot(1, 2)], round=0, answer=0.5, doubt=0.3)
    assert (vote.decision, vote.sample, vote.agreement, vote.votes) == ("answer", 0, 0.5, 1)
    lighter = [ballot(0, 1, weight=0.5), ballot(1, 1, weight=0.25), ballot(2, 2)]
    vote = count_votes(lighter, round=0, answer=0.5, doubt=0.3)
    assert (vote.decision, vote.sample, vote.agreement) == ("doubt", 2, 0.3333)
    members = [ballot(0, 1, weight=0.5, objections=("odd",)), ballot(1, 1)]
    vote = count_votes(members, round=0, answer=0.8, doubt=0.3)
    assert (vote.decision, vote.sample, vote.reason) == ("doubt", 1, "2 of 2 plans came to an answer")


def test_what_has_no_vote_counts_against_agreement() -> None:
    ballots = [
        ballot(0, 1),
        ballot(1, 1),
        ballot(2, "", state="failed"),
        ballot(3, "", state="invalid"),
    ]
    assert count_votes(ballots, round=0, answer=0.6, doubt=0.3).decision == "doubt"
    assert count_votes(ballots[2:], round=0, answer=0.6, doubt=0.3).decision == "open"
    assert count_votes(ballots[3:], round=0, answer=0.6, doubt=0.3).decision == "none"
    assert count_votes(ballots[:1], round=0, answer=0.6, doubt=0.3).decision == "open"


def test_all_rejected_is_no_answer() -> None:
    ballots = [ballot(i, -3, weight=0, objections=("a difference cannot be negative",)) for i in range(4)]
    vote = count_votes(ballots, round=0, answer=0.5, doubt=0.3)
    assert (vote.decision, vote.agreement) == ("decline", 0.0)
    assert vote.plan.startswith('decline("I am not sure: ') and "cannot be negative" in vote.reason


def test_plans_with_other_effects_disagree() -> None:
    ballots = [ballot(0, 1, effects=('send("a")',)), ballot(1, 1, effects=('send("b")',)), ballot(2, 1)]
    assert count_votes(ballots, round=0, answer=0.5, doubt=0.4).decision == "decline"
