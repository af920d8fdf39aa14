"""The tally of a join: which parts ended well, and what its policy makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never, cast

from braid.executors.graph import NodeRecord
from braid.executors.joins.verifier import PASSES, score_of
from braid.executors.nodes import Compare, Join, Ref, evaluate_with
from braid.executors.values import ItemError, attribute_names, preview
from braid.reasoning import Solution, canonical


@dataclass
class _Group:
    """Parts that agree."""

    value: Any
    """What they say, in normal form."""
    members: list[int]


class Tally:
    """The parts of one join that have ended so far.

    It knows nothing of parts that failed or are blocked: these may be mended yet.

    It belongs to one run, and so to one event loop.
    """

    def __init__(self, op: Join, total: int) -> None:
        self.op = op
        self.total = total
        self.chosen: tuple[int, ...] | None = None
        """The parts that the join took."""
        self.places: dict[NodeRecord, int] = {}
        """Where each part stands."""
        self.heard: dict[int, int] = {}
        """The parts whose end was told, with the epoch of that. Some may run again since."""
        self.left_out = 0
        """How many parts were skipped."""
        self.refused: dict[int, str] = {}
        """The parts that ended and cannot be taken, with the reasons."""
        self._well: list[int] = []
        self._confidence: dict[int, float] = {}
        self._groups: list[_Group] = []
        self._by_key: dict[str, _Group] = {}
        self._most_votes = 0

    def take(self, index: int, value: Any) -> None:
        """Part `index` ended well with `value`, which for the policy `verified` is what its check returned.

        Raises:
            ToolError: The check returned neither a yes or no nor a number.
        """
        op = self.op
        if op.policy == "all":
            pass
        elif isinstance(value, ItemError):
            self.refused[index] = value.error
            return
        elif op.policy == "verified":
            score = score_of(value, op.verifier or "the verifier")
            if score < (PASSES if op.at_least is None else op.at_least):
                self.refused[index] = "did not pass" if isinstance(value, bool) else f"scored {score:g}"
                return
        elif op.policy == "confident":
            confidence = _confidence_of(value)
            if confidence is None:
                self.refused[index] = "does not say how sure it is"
                return
            self._confidence[index] = confidence
        elif op.policy == "vote":
            if isinstance(value, Solution) and not value.answer:
                self.refused[index] = "holds no answer"
                return
            self._vote(index, value)
        self._well.append(index)

    def winners(self, running: int, first_running: Callable[[], int]) -> tuple[int, ...] | None:
        """The parts that the join takes, in plan order. None while that is open.

        Args:
            running: How many parts have not ended.
            first_running: Gives the earliest of them.
        """
        well = self._well
        match self.op.policy:
            case "all":
                taken = len(well) + self.left_out == self.total
                return tuple(sorted(well)) if taken else None
            case "first" | "verified":
                return (well[0],) if well else None
            case "some":
                count = self.op.count or 1
                return tuple(sorted(well[:count])) if len(well) >= count else None
            case "confident":
                return self._most_confident(running)
            case "vote":
                return self._elected(running, first_running)
            case _:
                assert_never(self.op.policy)

    def is_hopeless(self, running: int) -> bool:
        """Whether the `running` parts cannot decide it any more."""
        needed = (self.op.count or 1) if self.op.policy == "some" else 1
        return running == 0 or (self.op.policy == "some" and len(self._well) + running < needed)

    def _most_confident(self, running: int) -> tuple[int, ...] | None:
        if not self._well:
            return None
        latest = self._well[-1]
        if self.op.at_least is not None and self._confidence[latest] >= self.op.at_least:
            return (latest,)
        best = max(self._confidence, key=lambda index: (self._confidence[index], -index))
        return None if running else (best,)

    def _vote(self, index: int, value: Any) -> None:
        value = _normal(value)
        key = _key(value)
        group = self._by_key.get(key) if key is not None else None
        if group is None and (key is None or len(self._by_key) < len(self._groups)):
            group = next((each for each in self._groups if _equal(each.value, value)), None)
        if group is None:
            group = _Group(value, [])
            self._groups.append(group)
        if key is not None:
            self._by_key.setdefault(key, group)
        group.members.append(index)
        self._most_votes = max(self._most_votes, len(group.members))

    def _elected(self, running: int, first_running: Callable[[], int]) -> tuple[int, ...] | None:
        """The earliest part of the largest group, once no other group can overtake it."""
        if not self._groups or self._most_votes < running:
            return None
        ranked = sorted(self._groups, key=lambda each: (-len(each.members), min(each.members)))
        leader, others = ranked[0], ranked[1:]
        votes, earliest = len(leader.members), min(leader.members)
        earliest_to_come = first_running() if running else self.total
        for rival in (*others, _Group(None, [])):
            could_have = len(rival.members) + running
            if could_have > votes:
                return None
            if could_have == votes and min((*rival.members, earliest_to_come)) < earliest:
                return None
        return (earliest,)


def _confidence_of(value: Any) -> float | None:
    found = getattr(value, "confidence", None) if "confidence" in attribute_names(value) else None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or math.isnan(found):
        return None
    return float(found)


def _normal(value: Any) -> Any:
    """A part as it is compared in a vote: text in normal form, and of a thought its answer."""
    if isinstance(value, Solution):
        value = value.answer
    return canonical(value) if isinstance(value, str) else value


def _key(value: Any) -> str | None:
    """What finds equal texts and numbers at once. None for other values, which are compared one by one."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return canonical(repr(cast("float", value)))
    return None


def _equal(left: Any, right: Any) -> bool:
    """Whether a guard of a plan would call the two equal."""
    values = {"left": left, "right": right}
    return bool(evaluate_with(Compare("==", Ref("left"), Ref("right")), lambda ref: values[ref.name]))


def shown_reasons(reasons: Sequence[str]) -> str:
    """Some of the reasons why parts were not taken, each once."""
    known = list(dict.fromkeys(reasons))
    return "; ".join(preview(reason) for reason in known[:3]) + ("; ..." if len(known) > 3 else "")
