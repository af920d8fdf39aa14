"""Which node may start: ready counters over the graph, with guards, skips, blocked readers and maps.

There is no input or output here. Every unstarted entry counts the keys (a name, or an item of one) that are
not settled yet. Settling a key counts its waiters down, so the whole run costs O(nodes + edges).

The state machine does not call out. It queues what has happened as a `Change`. `GraphRun` takes the changes
and acts on them. `Replay` takes them and runs nothing. Consequences come from the same queue and never from
recursion, so a chain of a hundred thousand skips needs no deep stack.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, assert_never, cast

from braid.executors.graph import (
    FINAL,
    GraphChange,
    GraphError,
    Key,
    NameSlot,
    NodeRecord,
    Place,
    TaskGraph,
    revive,
)
from braid.executors.joins import Joins, MakeCheck
from braid.executors.nodes import (
    SKIPPED,
    Answer,
    Ask,
    Const,
    Expr,
    Guard,
    Join,
    ListOf,
    Map,
    NodeState,
    Op,
    Ref,
    Think,
    ToolCall,
    evaluate_with,
    truth,
)
from braid.executors.scheduler.answers import Answers
from braid.executors.scheduler.outcome import Limits
from braid.executors.values import (
    ExpressionError,
    ItemError,
    PathError,
    ValueTooLargeError,
    check_size,
    explain,
    preview,
    resolve_path,
    short_form,
)

Status: TypeAlias = Literal["wait", "ok", "skip", "block"]

_STATUS: dict[NodeState, Status] = {
    "pending": "wait",
    "running": "wait",
    "done": "ok",
    "skipped": "skip",
    "failed": "block",
    "blocked": "block",
    "cancelled": "block",
    "uncertain": "block",
}

_ENDED: dict[NodeState, str] = {
    "failed": "failed",
    "blocked": "is blocked",
    "cancelled": "was cancelled",
    "uncertain": "may or may not have happened",
}


Change: TypeAlias = tuple[Literal["ready", "settled", "expanded", "answered"], NodeRecord]
"""What has happened to which node. A tuple, since each node of a large graph has two changes.

- `ready`: all inputs are there and evaluated (`args`), so it may start.
- `settled`: it reached a state other than pending and running. Its readers follow with `Dataflow.release`.
- `expanded`: the list of a map is there, and its `children` are in the graph. Or the calls that check the
  `parts` of a join are in it.
- `answered`: the answer ended the plan.
"""


class Dataflow:
    """The state machine of one run over `graph`.

    Args:
        graph: The graph.
        limits: Bounds of the run.
        answers: The answers of the graph.
        make_check: Gives the calls that check the parts of joins.
        ended: The nodes that ended in an earlier process.
    """

    def __init__(
        self,
        graph: TaskGraph,
        limits: Limits,
        answers: Answers,
        make_check: MakeCheck,
        ended: Iterable[str] = (),
    ) -> None:
        self.graph = graph
        self.answers = answers
        self.limits = limits
        self.joins = Joins(self, make_check, ended)
        self._changes: deque[Change] = deque()
        self._settled: deque[NodeRecord] = deque()
        self._held: dict[str, None] = {}
        """Names that were bound anew, and whose blocked readers wait for the end of the plan."""

    def next_change(self) -> Change | None:
        """The next thing that has happened. None when there is nothing more."""
        while not self._changes and self._settled:
            entry = self._settled.popleft()
            if entry.parent is None or type(entry.node.op) is not Join:
                return "settled", entry
            self.joins.part_ended(entry)
        return self._changes.popleft() if self._changes else None

    def begin(self) -> None:
        """Arm what earlier runs left pending."""
        self.answers.add(self.graph.entries.values())
        for slot in self.graph.slots.values():
            slot.waiters = None
            slot.item_waiters = None
        entries = self.graph.entries
        parts = [part for entry in entries.values() for part in entry.parts or ()]
        self.arm([each for each in entries.values() if each.state == "pending"])
        self.arm([each for each in parts if each.state == "pending" and each.node.id not in entries])

    def arm(self, entries: Iterable[NodeRecord]) -> None:
        """Start counting for `entries`. Those with nothing to wait for go on at once."""
        for entry in entries:
            entry.epoch += 1
            entry.stage = 0
            self._advance(entry)

    def check_size(self) -> None:
        """Raise `GraphError` if the graph has more nodes than it may have."""
        if len(self.graph.entries) > self.limits.max_nodes:
            raise GraphError(f"the plan passes the limit of {self.limits.max_nodes} nodes (max_nodes)")

    def take(self, change: GraphChange) -> None:
        """Arm what a patch has added, and the unstarted readers of names that it bound anew."""
        if self.answers.given is not None:
            for entry in change.added:
                self.cancel(entry, "the plan had been answered")
            return
        self.answers.add(change.added)
        if change.rebound:
            self.rebind(change.rebound)
        # Those that read a name of this very patch that was bound anew are armed already.
        self.arm([entry for entry in change.added if entry.epoch == 0])

    def rebind(self, names: Iterable[str]) -> None:
        """These names have new binders: unstarted readers follow.

        While more of the plan may come, what was blocked waits for its end: the plan may bind it anew, too.
        """
        self.arm(revive(self.graph, names, held=self._held if self.answers.expecting else None))

    def settle(
        self, entry: NodeRecord, state: NodeState, *, value: Any = None, error: str | None = None
    ) -> None:
        """Put `entry` into a final or blocked state."""
        parent = entry.parent
        was_open = entry.state == "pending" or entry.state == "running"
        if parent is not None and was_open and parent.parts is None:  # a join counts what it has weighed
            parent.unsettled -= 1
        entry.state = state
        entry.value = value
        entry.error = error
        self._settled.append(entry)

    def release(self, entry: NodeRecord) -> None:
        """Let the readers of a settled `entry` follow. The change that says so must have been acted on."""
        if entry.tool is None:
            if isinstance(entry.node.op, Answer):
                if entry.state == "done" and self.answers.given is None:
                    self._release_held()
                    self._changes.append(("answered", entry))
                    for unread in self.answers.end(entry, self.needed_by):
                        self.cancel(unread, "the plan was answered without it")
                self.unpark()
            elif entry.parts is not None:
                self.joins.drop_losers()
        name = entry.node.name
        if entry.parent is not None:
            self._release_item(entry, entry.parent)
        elif name is not None:
            slot = self.graph.slots[name]
            waiters = slot.waiters
            if waiters and (len(slot.binders) == 1 or self._lookup((name, None))[0] != "wait"):
                slot.waiters = None
                self._count_down(waiters)
            if slot.item_waiters:
                for index in list(slot.item_waiters):
                    self._flush_item(slot, name, index)

    def unpark(self) -> None:
        """Let what waited for an answer, or for the end of the plan, go on as far as it may now."""
        if not self.answers.expecting:
            self._release_held()
        for entry in self.answers.unpark():
            self._changes.append(("ready", entry))
        self.joins.drop_losers()

    def _release_held(self) -> None:
        """No more of the plan will bind anew what was blocked: it follows those that it reads."""
        if self._held:
            names, self._held = self._held, {}
            self.arm(revive(self.graph, names))

    def cancel(self, entry: NodeRecord, reason: str) -> None:
        """Cancel `entry`, and with a map or a join its children or parts. What is final stays as it is."""
        if entry.state in FINAL:
            return
        # The map first: its children then release nobody.
        self.settle(entry, "cancelled", error=reason)
        for child in entry.children or entry.parts or ():
            if child.state not in FINAL:
                self.settle(child, "cancelled", error=reason)

    def needed_by(self, entries: Iterable[NodeRecord]) -> set[NodeRecord]:
        """`entries` and everything not settled that they wait for, directly or not."""
        found: set[NodeRecord] = set()
        todo = list(entries)
        while todo:
            entry = todo.pop()
            if entry in found:
                continue
            found.add(entry)
            todo.extend(p for p in self.graph.producers(entry) if p.state not in FINAL)
            todo.extend(c for c in entry.children or entry.parts or () if c.state not in FINAL)
            if entry.parent is not None:
                todo.append(entry.parent)
        return found

    def available(self, entry: NodeRecord) -> tuple[Any, ...]:
        """Those values of an answer that are there: the partial answer of a run that was stopped."""
        op = entry.node.op
        assert isinstance(op, Answer)
        values: list[Any] = []
        for expr in op.values:
            try:
                value = evaluate_with(expr, lambda ref: self.read(entry, ref))
            except Exception:  # not there, or not readable: a partial answer leaves it out
                continue
            if value is not SKIPPED:
                values.append(value)
        return tuple(values)

    def _release_item(self, entry: NodeRecord, parent: NodeRecord) -> None:
        """Let the readers of an item of a map follow, and the map when it was the last one.

        A checked part of a join may decide the join.
        """
        if parent.parts is not None:
            self.joins.part_ended(entry)
            return
        if parent.node.name is not None:
            slot = self.graph.slots[parent.node.name]
            if slot.item_waiters:
                index = entry.order[1] - 1
                for place in (index, index - len(parent.children or ())):
                    self._flush_item(slot, parent.node.name, place)
        if parent.unsettled == 0 and parent.state == "running":
            self._close_map(parent)

    def _flush_item(self, slot: NameSlot, name: str, index: Place) -> None:
        waiters = slot.item_waiters
        if waiters is not None and index in waiters and self._lookup((name, index))[0] != "wait":
            self._count_down(waiters.pop(index))

    def _count_down(self, waiters: list[tuple[NodeRecord, int]]) -> None:
        for entry, epoch in waiters:
            if entry.epoch == epoch and entry.state == "pending":
                entry.waiting -= 1
                if entry.waiting == 0:
                    self._stage_ready(entry)

    def _lookup(self, key: Key) -> tuple[Status, NodeRecord | None]:
        """The status of a key, and the entry that gives its value if it is `ok`."""
        name, index = key
        slot = self.graph.slots.get(name)
        binders = slot.binders if slot is not None else []
        if index is None and len(binders) == 1:
            return _STATUS[binders[0].state], binders[0]
        seen: set[Status] = set()
        for binder in binders:
            status = _STATUS[binder.state]
            source = binder
            children = binder.children
            if index is not None and children is not None:
                if index == "items":
                    return "ok", binder  # the number is known, whatever becomes of them
                # Items of a map count one by one, even when the map as a whole failed.
                if -len(children) <= index < len(children):
                    source = children[index]
                    status = _STATUS[source.state]
                    if status == "block" and _collects(binder) and source.state != "blocked":
                        status = "ok"
            if status == "ok":
                return "ok", source
            seen.add(status)
        return ("wait" if "wait" in seen else "block" if "block" in seen else "skip"), None

    def _advance(self, entry: NodeRecord) -> None:
        """Count what the current stage waits for."""
        waiting = 0
        slots = self.graph.slots
        for key in entry.stages[entry.stage]:
            name, index = key
            slot = slots[name]
            binders = slot.binders
            if index is None:
                if len(binders) == 1:
                    state = binders[0].state
                    waits = state == "pending" or state == "running"
                else:
                    waits = self._lookup(key)[0] == "wait"
                if waits:
                    if slot.waiters is None:
                        slot.waiters = []
                    slot.waiters.append((entry, entry.epoch))
                    waiting += 1
            elif self._lookup(key)[0] == "wait":
                if slot.item_waiters is None:
                    slot.item_waiters = {}
                slot.item_waiters.setdefault(index, []).append((entry, entry.epoch))
                waiting += 1
        entry.waiting = waiting
        if waiting == 0:
            self._stage_ready(entry)

    def _stage_ready(self, entry: NodeRecord) -> None:
        """Everything that the current stage reads is settled. Go on to the next stage, or to the node."""
        guards = entry.node.guards
        if not guards and entry.parent is None:
            args = self._plain_arguments(entry.node.op)
            if args is not None:
                entry.args = args
                self._changes.append(("ready", entry))
                return
        while True:
            missing = self._missing_input(entry)
            if missing is not None:
                self.settle(entry, "blocked", error=missing)
                return
            at_inputs = entry.stage == len(guards)
            args: Any = None
            try:
                # Evaluating runs properties and short forms of values: others' code. An error fails the node.
                if at_inputs:
                    skip, args = self._inputs(entry)
                else:
                    skip = self._guard_refusal(entry, guards[entry.stage])
            except Exception as error:
                entry.exception = error
                self.settle(entry, "failed", error=explain(error))
                return
            if skip is not None:
                self.settle(entry, "skipped", error=skip)
                return
            if at_inputs:
                if isinstance(entry.node.op, Map):
                    self._expand(entry, args)
                elif isinstance(entry.node.op, Join):
                    self._join(entry, args)
                else:
                    entry.args = args
                    self._changes.append(("ready", entry))
                return
            entry.stage += 1
            if entry.stages[entry.stage]:
                self._advance(entry)
                return

    def _plain_arguments(self, op: Op) -> dict[str, Any] | None:
        """The arguments of a call that reads only literals and whole results, all there. Else None.

        Most calls of a large graph are of this kind. It is checked and evaluated in one pass.
        """
        if type(op) is not ToolCall:
            return None
        args: dict[str, Any] = {}
        slots = self.graph.slots
        for name, expr in op.args:
            if type(expr) is Ref and not expr.path:
                binders = slots[expr.name].binders
                if len(binders) != 1 or binders[0].state != "done":
                    return None
                args[name] = binders[0].value
            elif type(expr) is Const:
                args[name] = expr.value
            else:
                return None
        return args

    def _missing_input(self, entry: NodeRecord) -> str | None:
        """Why something that the current stage reads is not there, down to the node that failed."""
        for key in entry.stages[entry.stage]:
            if self._lookup(key)[0] == "block":
                causes = [b for b in self.graph.slots[key[0]].binders if _STATUS[b.state] == "block"]
                cause = causes[0] if causes else None
                if cause is None:
                    return f"needs {key[0]}[{key[1]}], which is not there"
                if cause.state == "blocked" and cause.error:
                    return cause.error
                return f"needs {key[0]}, which {_ENDED[cause.state]}: {preview(cause.error or cause.state)}"
        return None

    def _guard_refusal(self, entry: NodeRecord, guard: Guard) -> str | None:
        value = evaluate_with(guard.condition, lambda ref: self.read(entry, ref))
        if value is SKIPPED:
            return "its condition reads a skipped node"
        return None if truth(value) == guard.expected else "its condition says no"

    def _inputs(self, entry: NodeRecord) -> tuple[str | None, Any]:
        """Why the node is skipped, or None and its evaluated inputs."""
        op = entry.node.op
        if isinstance(op, Map):
            items = self.items_of(entry, op.over)
            return ("its list was skipped", None) if items is SKIPPED else (None, items)
        if isinstance(op, Join):
            return self._join_inputs(entry, op)
        if entry.item_is_expr and self._item_is_skipped(entry):
            return "its item was skipped", None
        args = self._arguments(entry, op)
        return ("it reads a skipped node", None) if args is SKIPPED else (None, args)

    def _join_inputs(self, entry: NodeRecord, op: Join) -> tuple[str | None, Any]:
        """Why a join or a part of one is skipped, or None and the join's parts, or the part's value."""
        if entry.parent is None:
            parts = self.joins.parts_of(entry, op)
            return ("its list was skipped", None) if parts is SKIPPED else (None, parts)
        value = evaluate_with(cast("Expr", entry.item), lambda ref: self.read(entry, ref))
        return ("it reads a skipped node", None) if value is SKIPPED else (None, value)

    def _item_is_skipped(self, entry: NodeRecord) -> bool:
        """Whether the child has no item.

        An item of a literal list is then left out, and so is what another map left out.
        """
        parent = entry.parent
        assert parent is not None and isinstance(parent.node.op, Map)
        over, item = parent.node.op.over, cast("Expr", entry.item)
        if isinstance(over, ListOf):
            entry.dropped = evaluate_with(item, lambda ref: self.read(parent, ref)) is SKIPPED
            return entry.dropped
        assert isinstance(over, Ref) and isinstance(item, Ref)
        count = len(parent.children or ())
        for binder in self.graph.slots[over.name].binders:
            source: Sequence[Any] | None = binder.children
            if source is None and isinstance(binder.value, (list, tuple)):
                source = cast("Sequence[Any]", binder.value)  # pyright: ignore[reportUnknownMemberType]
            if source is not None and len(source) != count:
                raise ExpressionError(
                    f"{over.name} was bound anew and has {len(source)} items now, not {count}"
                )
        index = entry.order[1] - 1
        status, _ = self._lookup((over.name, index))
        if status != "skip":
            return False
        sources = [b.children[index] for b in self.graph.slots[over.name].binders if b.children]
        entry.dropped = any(source.dropped for source in sources)
        return True

    def _arguments(self, entry: NodeRecord, op: ToolCall | Think | Ask | Answer) -> Any:
        """The evaluated inputs, or `SKIPPED`."""

        def value_of(expr: Expr) -> Any:
            return evaluate_with(expr, lambda ref: self.read(entry, ref))

        match op:
            case ToolCall(_, args):
                values = {name: value_of(expr) for name, expr in args}
                if any(value is SKIPPED for value in values.values()):
                    return SKIPPED
                is_check = entry.parent is not None and entry.parent.parts is not None
                return self.joins.checked(entry, values) if is_check else values
            case Think(question, given):
                text = value_of(question)
                known = [
                    (label_of(expr), value) for expr in given if (value := value_of(expr)) is not SKIPPED
                ]
                return SKIPPED if text is SKIPPED else (text, known)
            case Ask(question):
                return value_of(question)
            case Answer(exprs):
                answers = tuple(value for expr in exprs if (value := value_of(expr)) is not SKIPPED)
                short_form(answers)  # what cannot be shown fails the node, so that another round can mend it
                return SKIPPED if exprs and not answers else answers
            case _:
                assert_never(op)

    def read(self, entry: NodeRecord, ref: Ref) -> Any:
        """The value of a reference of `entry`, or `SKIPPED` where its node was skipped.

        Raises:
            PathError: There is none.
        """
        parent = entry.parent
        if parent is not None and ref.name == entry.var:
            assert isinstance(parent.node.op, Map)
            item = entry.item
            if entry.item_is_expr:
                item = evaluate_with(cast("Expr", item), lambda inner: self.read(parent, inner))
            return item if item is SKIPPED else resolve_path(item, ref.path)
        head = ref.path[0] if ref.path else None
        index = head if isinstance(head, int) else None
        status, source = self._lookup((ref.name, index))
        if status == "skip":
            return SKIPPED
        if status != "ok" or source is None:
            raise PathError(f"{ref.name!r} has no value")
        path = ref.path
        if source.parent is not None:
            path = path[1:]
            if source.state != "done":
                return resolve_path(ItemError(source.error or source.state), path)
        try:
            return resolve_path(source.value, path)
        except PathError as error:
            raise PathError(f"{label_of(ref)}: {error}") from None

    def items_of(self, entry: NodeRecord, over: Expr) -> Any:
        """The items that a map or a join is over, or `SKIPPED`.

        Those of a literal list or of another map are expressions. Others are values.

        Raises:
            ExpressionError: It is no list, or has too many items.
        """
        if isinstance(over, ListOf):
            items: Any = over.items
        elif (source := self._mapped(over)) is not None:
            items = tuple(
                Ref(source.node.name or "", (index,)) for index in range(len(source.children or ()))
            )
        else:
            items = evaluate_with(over, lambda ref: self.read(entry, ref))
        if items is SKIPPED:
            return items
        what = "a join" if isinstance(entry.node.op, Join) else "a map"
        if not isinstance(items, (list, tuple)):
            raise ExpressionError(f"{what} needs a list, got {preview(items, 60)!r} ({type(items).__name__})")
        count = len(cast("Sequence[Any]", items))
        if count > self.limits.max_map_items:
            raise ExpressionError(
                f"{what} over {count} items; the limit is {self.limits.max_map_items} (max_map_items)"
            )
        if len(self.graph.entries) + count > self.limits.max_nodes:
            raise ExpressionError(
                f"{count} more nodes would pass the limit of {self.limits.max_nodes} (max_nodes)"
            )
        return cast("Sequence[Any]", items)

    def _mapped(self, over: Expr) -> NodeRecord | None:
        """The map that `over` names and goes over item by item, if it is one and has its items."""
        if not isinstance(over, Ref) or over.path:
            return None
        source = self._lookup((over.name, "items"))[1]
        return source if source is not None and source.children is not None else None

    def _join(self, entry: NodeRecord, args: Any) -> None:
        """A part of a join has its value, or a join begins to wait for its parts."""
        if entry.parent is not None:
            self.settle(entry, "done", value=args)
            return
        parts = self.joins.open(entry, args)
        if any(part.tool is not None for part in parts):
            self._changes.append(("expanded", entry))
        self.arm(parts)
        self.joins.weigh(entry)

    # What joins ask of the dataflow.

    @property
    def more_to_come(self) -> bool:
        """Whether the plan may have further statements."""
        return self.answers.expecting

    def must_run(self, entry: NodeRecord) -> bool:
        """Whether `entry` is carried out whoever reads it: a mutating call."""
        return self.answers.mutates(entry)

    def source_of(self, ref: Ref) -> NodeRecord | None:
        """The node whose result `ref` reads, if it is there."""
        head = ref.path[0] if ref.path else None
        return self._lookup((ref.name, head if isinstance(head, int) else None))[1]

    def _expand(self, entry: NodeRecord, items: Sequence[Any]) -> None:
        op = entry.node.op
        assert isinstance(op, Map)
        are_exprs = isinstance(op.over, ListOf) or self._mapped(op.over) is not None
        children = self.graph.add_children(entry, items, are_exprs=are_exprs)
        entry.state = "running"
        self._changes.append(("expanded", entry))
        name = entry.node.name
        if name is not None:
            self._flush_item(self.graph.slots[name], name, "items")
        for child in children:
            child.epoch += 1
            self._advance(child)
        if not children:
            self._close_map(entry)

    def _close_map(self, entry: NodeRecord) -> None:
        """All children are settled: so is the map."""
        children = entry.children or []
        collects = _collects(entry)
        values: list[Any] = []
        for index, child in enumerate(children):
            match child.state:
                case "done":
                    values.append(child.value)
                case "failed" | "cancelled" | "uncertain":
                    reason = child.error or child.state
                    if not collects:
                        entry.exception, entry.failure = child.exception, child.failure
                        self.settle(entry, "failed", error=f"item {index}: {reason}")
                        return
                    values.append(ItemError(reason))
                case "blocked":
                    self.settle(entry, "blocked", error=f"item {index}: {child.error}")
                    return
                case "skipped":
                    if not child.dropped:
                        self.settle(entry, "skipped", error=child.error)
                        return
                case "pending" | "running":
                    raise AssertionError(f"map {entry.node.id!r} closed with an item {child.state}")
                case _:
                    assert_never(child.state)
        try:
            check_size(values, "the list of its results", result=True)
        except ValueTooLargeError as error:
            entry.exception = error
            self.settle(entry, "failed", error=explain(error))
            return
        self.settle(entry, "done", value=values)


def _collects(entry: NodeRecord) -> bool:
    return isinstance(entry.node.op, Map) and entry.node.op.on_error == "collect"


def label_of(expr: Expr) -> str:
    """How a reference was written (`city.population`, `rows[0]`). Empty for other expressions."""
    if not isinstance(expr, Ref):
        return ""
    return expr.name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in expr.path)
