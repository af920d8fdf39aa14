"""Joins in the dataflow: they wait for parts, decide by a policy, and drop what they do not take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from braid.executors.graph import FINAL, UNSTARTED, NodeRecord, TaskGraph, exclusive
from braid.executors.joins.tally import Tally, shown_reasons
from braid.executors.nodes import SKIPPED, Expr, Join, NodeState, Ref, Think, ToolCall, evaluate_with
from braid.executors.values import ExpressionError, ItemError, check_size, explain, preview
from braid.reasoning import Solution

MakeCheck: TypeAlias = Callable[[str | None, Expr], ToolCall]
"""Gives the call that checks a part, by the tool of that name, or by the run's own verifier (None).

Raises `BraidError` where there is none.
"""


class Flow(Protocol):
    """The dataflow that the joins are part of."""

    graph: TaskGraph

    @property
    def more_to_come(self) -> bool:
        """Whether the plan may have further statements."""
        ...

    def must_run(self, entry: NodeRecord) -> bool:
        """Whether `entry` is carried out whoever reads it: a mutating call."""
        ...

    def read(self, entry: NodeRecord, ref: Ref) -> Any:
        """The value of a reference of `entry`, or `SKIPPED`."""
        ...

    def source_of(self, ref: Ref) -> NodeRecord | None:
        """The node whose result `ref` reads, if it is there."""
        ...

    def items_of(self, entry: NodeRecord, over: Ref) -> Sequence[Any] | Any:
        """The items of the map or list that `over` names, or `SKIPPED`."""
        ...

    def settle(
        self, entry: NodeRecord, state: NodeState, *, value: Any = None, error: str | None = None
    ) -> None:
        """Put `entry` into a final or blocked state."""
        ...

    def cancel(self, entry: NodeRecord, reason: str) -> None:
        """Cancel `entry` with its children or parts."""
        ...


class Joins:
    """The joins of one run.

    A join has a `Tally` as its `args` from when it waits for its parts.

    It belongs to one run, and so to one event loop.

    Args:
        flow: The dataflow.
        make_check: Gives the calls that check parts.
        decided: The nodes that ended in an earlier process. What a join among them took is told by `choose`,
            and none takes anything else now.
    """

    def __init__(self, flow: Flow, make_check: MakeCheck, decided: Iterable[str]) -> None:
        self._flow = flow
        self._make_check = make_check
        self._choices: dict[str, tuple[int, ...] | None] = dict.fromkeys(decided)
        self._won: list[NodeRecord] = []
        """Joins whose losers are not cancelled yet, since a statement that reads them may come."""

    def parts_of(self, join: NodeRecord, op: Join) -> Sequence[Expr | ToolCall] | Any:
        """What the join waits for: its parts, or the calls that check them. `SKIPPED` where its list was.

        Raises:
            ExpressionError: The number of parts is not the one that the policy names.
            BraidError: There is no verifier.
        """
        parts: Sequence[Expr] = op.parts if isinstance(op.parts, tuple) else ()
        if isinstance(op.parts, Ref):
            items = self._flow.items_of(join, op.parts)
            if items is SKIPPED:
                return SKIPPED
            name, path = op.parts.name, op.parts.path
            parts = [Ref(name, (*path, index)) for index in range(len(items))]
        if op.total is not None and len(parts) != op.total:
            raise ExpressionError(
                f"the policy `{op.count} of {op.total}` needs {op.total} parts, and there are {len(parts)}; "
                f"write `{op.count} of {len(parts)}`"
            )
        if op.policy != "verified":
            return parts
        return [self._make_check(op.verifier, part) for part in parts]

    def open(self, join: NodeRecord, parts: Sequence[Expr | ToolCall]) -> list[NodeRecord]:
        """Let the join wait for its parts. They must be armed, and then `weigh` asked.

        Returns them in the order in which they ended, as far as they have. So it does not matter how early
        the join came.
        """
        op = join.node.op
        assert isinstance(op, Join)
        join.state = "running"
        join.args = tally = Tally(op, len(parts))
        records = self._flow.graph.add_parts(join, parts)
        tally.places = {record: index for index, record in enumerate(records)}
        return sorted(records, key=self._ended)

    def _ended(self, part: NodeRecord) -> float:
        """When the last node that a part reads ended."""
        return max((each.finished or 0.0 for each in self._flow.graph.producers(part)), default=0.0)

    def part_ended(self, part: NodeRecord) -> None:
        """A part of a join has ended, or is blocked."""
        join = part.parent
        assert join is not None and join.parts is not None
        tally: Tally = join.args
        index = tally.places[part]
        if tally.heard.get(index) != part.epoch:  # else it was blocked, and is cancelled now
            tally.heard[index] = part.epoch
            join.unsettled -= 1
        if part.state == "skipped":
            tally.left_out += 1
        elif part.state == "done":
            try:
                tally.take(index, part.value)
            except Exception as error:  # comparing runs methods of values, which are others' code
                tally.refused[index] = explain(error)
        self.weigh(join)

    def choose(self, join: NodeRecord, winners: Iterable[int]) -> None:
        """An earlier process decided: these parts it is."""
        self._choices[join.node.id] = tuple(winners)
        if join.parts is not None:
            self.weigh(join)
        self.drop_losers()

    def weigh(self, join: NodeRecord) -> None:
        """Decide `join` if its policy can."""
        parts, tally = join.parts, cast("Tally", join.args)
        if join.state != "running" or parts is None:
            return

        def first_running() -> int:
            return next(
                index
                for index, part in enumerate(parts)
                if part.state in _RUNNING or tally.heard.get(index) != part.epoch
            )

        winners = tally.winners(join.unsettled, first_running)
        is_known = join.node.id in self._choices
        if is_known:
            winners = self._choices[join.node.id]
            if winners is not None and any(parts[index].state != "done" for index in winners):
                self._drop_all_but(join, parts, winners)  # their results are lost, and they run again
                winners = None
        if winners is not None:
            self._take(join, parts, tally, winners)
        elif tally.is_hopeless(join.unsettled):
            self._give_up(join, parts, tally, is_known=is_known)

    def _take(
        self, join: NodeRecord, parts: Sequence[NodeRecord], tally: Tally, winners: tuple[int, ...]
    ) -> None:
        tally.chosen = winners
        several = tally.op.policy in ("all", "some")
        try:
            values = [self._value(parts[index]) for index in winners]
            if several:
                check_size(values, "the list of its parts", result=True)
        except Exception as error:
            join.exception = error
            self._flow.settle(join, "failed", error=explain(error))
            return
        self._flow.settle(join, "done", value=values if several else values[0])
        self._drop_all_but(join, parts, ())

    def _value(self, part: NodeRecord) -> Any:
        """The value of a part that ended well."""
        if not isinstance(part.item, ToolCall):
            return part.value
        return evaluate_with(part.item.args[-1][1], lambda ref: self._flow.read(part, ref))

    def _give_up(
        self, join: NodeRecord, parts: Sequence[NodeRecord], tally: Tally, *, is_known: bool
    ) -> None:
        """The parts that ended do not decide it, and no other runs."""
        lost = [part for part in parts if part.state not in ("done", "skipped", *_RUNNING)]
        reasons = [part.error or part.state for part in lost]
        reasons += [
            f"part {index + 1} {reason}" if tally.op.policy != "all" else reason
            for index, reason in sorted(tally.refused.items())
        ]
        if any(part.state == "blocked" for part in lost):
            self._flow.settle(join, "blocked", error=shown_reasons(reasons))
        elif is_known:
            pass  # how it ended is on record
        elif reasons:
            join.exception = next((part.exception for part in lost if part.exception is not None), None)
            self._flow.settle(join, "failed", error=f"{_WHY[tally.op.policy]}: {shown_reasons(reasons)}")
        elif parts and tally.left_out == len(parts):
            self._flow.settle(join, "skipped", error="its parts were skipped")
        else:
            left = len(parts) - tally.left_out
            error = f"{_WHY[tally.op.policy]}: it has {left} parts"
            self._flow.settle(join, "failed", error=error)

    # What was not taken.

    def _drop_all_but(self, join: NodeRecord, parts: Sequence[NodeRecord], kept: tuple[int, ...]) -> None:
        """The join waits for nothing but these parts. Drop what nobody reads then."""
        for index, part in enumerate(parts):
            if part.state not in FINAL and index not in kept:
                self._flow.cancel(part, f"{label(join)} was decided without it")
        self._won.append(join)

    def drop_losers(self) -> None:
        """Cancel what decided joins did not take, once no statement can come that reads it."""
        if not self._won or self._flow.more_to_come:
            return
        won, self._won = self._won, []
        for join in won:
            for entry in self._unread(join):
                self._flow.cancel(entry, f"{label(join)} was decided without it")

    def _unread(self, join: NodeRecord) -> list[NodeRecord]:
        """The parts of a decided join, and what they need, that run for nobody any more."""
        graph = self._flow.graph
        found: dict[NodeRecord, None] = {}
        todo = graph.producers(join)
        while todo:
            entry = todo.pop()
            entry = entry.parent or entry  # a map goes with all its items, or stays
            if entry in found or entry.state in FINAL:
                continue
            if self._flow.must_run(entry) or self._is_read(entry, found):
                continue
            found[entry] = None
            for each in (entry, *(entry.children or entry.parts or ())):
                todo += graph.producers(each)
        return sorted(found, key=lambda entry: entry.order)

    def _is_read(self, entry: NodeRecord, dropped: dict[NodeRecord, None]) -> bool:
        """Whether a node that has not begun reads `entry`, those that are dropped with it aside."""
        slot = self._flow.graph.slots.get(entry.node.name or "")
        for reader in slot.readers if slot is not None else ():
            owner = reader.parent or reader
            if reader.state not in UNSTARTED or owner.state in FINAL or owner in dropped or owner is entry:
                continue
            if not exclusive(owner.node, entry.node):
                return True
        return False

    # What is checked.

    def checked(self, check: NodeRecord, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a check: of a thought its answer, and the question that it was asked.

        Raises:
            ExpressionError: The part is an item that failed.
        """
        name, value = next(reversed(args.items()))
        if isinstance(value, ItemError):
            raise ExpressionError(value.error)
        if not isinstance(value, Solution):
            return args
        part = cast("ToolCall", check.item).args[-1][1]
        source = self._flow.source_of(part) if isinstance(part, Ref) else None
        checked = {**args, name: value.answer}
        if len(args) > 1 and source is not None and isinstance(source.node.op, Think):
            question = source.node.op.question
            checked[next(iter(args))] = evaluate_with(question, lambda ref: self._flow.read(source, ref))
        return checked


_RUNNING: Final = ("pending", "running")
_WHY: Final = {
    "all": "not all its parts ended well",
    "first": "none of its parts ended well",
    "some": "too few of its parts ended well",
    "vote": "none of its parts has a vote",
    "verified": "none of its parts passed",
    "confident": "none of its parts can be taken",
}


def label(join: NodeRecord) -> str:
    """What a join is called in reasons."""
    return join.node.name or preview(join.node.source or join.node.id, 60)
