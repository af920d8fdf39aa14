"""The vote over plans: which of them came to the same, and what that means for the answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from braid.executors.nodes import Scalar
from braid.executors.values import attribute_names, short_form
from braid.orchestrator.sampled_plans.events import PlanSampled, PlansVoted, VoteDecision
from braid.reasoning import Candidate, canonical, group_answers

CLOSE = 1e-6
"""Relative difference up to which two numbers are the same."""
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_SHOWN = 3


def comparable(value: object) -> Scalar:
    """`value` as votes compare it: what has a `.value`, such as a fact, is that, with its unit."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        word = canonical(value)
        return {"yes": True, "true": True, "no": False, "false": False}.get(word, value)
    if "value" in attribute_names(value):
        return short_form(value) if getattr(value, "unit", "") else comparable(getattr(value, "value", None))
    return short_form(value)


def same(a: Sequence[Scalar], b: Sequence[Scalar]) -> bool:
    """Whether two answers say the same: the same words, and the same numbers within `CLOSE`.

    A unit that one of them leaves out makes no difference.
    """
    return len(a) == len(b) and all(map(_same, a, b))


def _same(a: Scalar, b: Scalar) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    (left, left_words), (right, right_words) = _split(a), _split(b)
    if len(left) != len(right):
        return False
    lone = len(left) == 1 and not (left_words and right_words)
    if left_words != right_words and not lone:
        return False
    return all(math.isclose(x, y, rel_tol=CLOSE, abs_tol=1e-12) for x, y in zip(left, right, strict=True))


def _split(value: float | str) -> tuple[list[float], str]:
    """The numbers of a value and its words."""
    if not isinstance(value, str):
        return [float(value)], ""
    numbers = [float(n.replace(",", "").replace("−", "-")) for n in _NUMBER.findall(value)]
    words = " ".join(re.findall(r"[^\W_]+|[%°#]", _NUMBER.sub("#", value).casefold()))
    return numbers, ("" if words == "#" else canonical(words))


def count_votes(ballots: Sequence[PlanSampled], *, round: int, answer: float, doubt: float) -> PlansVoted:
    """The vote over `ballots`, in the order of their plans.

    The heaviest group wins, among equals that of the earliest plan. Agreement is its weight as a share of all
    plans, those without a vote included. Within the group, the plan with the fewest objections is run.

    Args:
        ballots: What became of each plan.
        round: The round of planning.
        answer: From which agreement on the answer is given without a word of doubt.
        doubt: From which agreement on it is given at all.
    """
    total = len(ballots)
    valid = [ballot for ballot in ballots if ballot.state != "invalid"]
    if not valid:
        return PlansVoted(round=round, decision="none", samples=total)
    voters = [ballot for ballot in valid if ballot.state != "failed"]
    if total < 2 or not voters:  # one plan alone agrees with nobody
        first = voters[0] if voters else valid[0]
        return PlansVoted(round=round, decision="open", samples=total, sample=first.sample, plan=first.plan)
    leaders: list[PlanSampled] = []
    candidates: list[Candidate] = []
    for ballot in voters:
        place = next((i for i, leader in enumerate(leaders) if _agree(leader, ballot)), len(leaders))
        if place == len(leaders):
            leaders.append(ballot)
        candidates.append(Candidate(text=ballot.plan, answer=str(place), weight=ballot.weight))
    groups = group_answers(candidates, key=lambda place: place)
    best = groups[0]
    members = [voters[index] for index in best.members]
    winner = max(members, key=lambda ballot: ballot.weight)
    agreement = best.weight / total
    decision: VoteDecision = "answer"
    if winner.state != "declined" and agreement < answer:
        decision = "doubt" if agreement >= doubt else "decline"
    reason = ""
    if decision != "answer":
        reason = _why([leaders[int(group.answer)] for group in groups], len(members), total, winner)
    plan = f"decline({json.dumps(f'I am not sure: {reason}', ensure_ascii=False)})\n"
    return PlansVoted(
        round=round,
        decision=decision,
        samples=total,
        votes=len(members),
        agreement=round_share(agreement),
        sample=winner.sample,
        plan=plan if decision == "decline" else winner.plan,
        reason=reason,
    )


def round_share(share: float) -> float:
    """`share` with four digits, as events and results have it."""
    return math.floor(share * 1e4 + 0.5) / 1e4


def _agree(a: PlanSampled, b: PlanSampled) -> bool:
    if a.state != b.state or a.effects != b.effects:
        return False
    return a.state == "declined" or same(a.answer, b.answer)


def _why(leaders: Sequence[PlanSampled], votes: int, total: int, winner: PlanSampled) -> str:
    """Why an answer is doubted."""
    texts = [leader.shown for leader in leaders if leader.shown]
    different = list(dict.fromkeys(texts))
    if len(leaders) == 1:
        why = f"{votes} of {total} plans came to an answer"
    else:
        why = f"{total} plans came to {len(leaders)} answers, and {votes} of them agree"
    if different and len(leaders) > 1:
        more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
        why += f" ({'; '.join(different[:_SHOWN])}{more})"
    return "; ".join([why, *winner.objections[:1]])
