"""Plans written down quickly, for the tests of this room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, cast

from braid.engine import Event
from braid.executors import GraphPatch, RunContext, RunOutcome, TaskGraph, ToolRegistry, run_graph
from braid.executors.nodes import Answer, Const, Expr, Guard, Join, ListOf, Map, Node, Ref, ToolCall


def expr(value: Any) -> Expr:
    """An expression as it is. Lists become list literals, anything else a constant."""
    if isinstance(value, list):
        return ListOf(tuple(expr(item) for item in cast("list[Any]", value)))
    if value is None or isinstance(value, (bool, int, float, str)):
        return Const(value)
    return value


def call(id: str, tool: str, /, *, guards: Sequence[Guard] = (), bind: str | None = "", **args: Any) -> Node:
    """A node that calls a tool and binds its own id, or `bind`."""
    op = ToolCall(tool, tuple((name, expr(value)) for name, value in args.items()))
    return Node(
        id=id, op=op, name=id if bind == "" else bind, guards=tuple(guards), source=f"{id} = {tool}(...)"
    )


def mapped(id: str, over: Any, tool: str, /, *, on_error: Any = "fail", **args: Any) -> Node:
    """`[tool(...) for m in over]`. The item is `Ref("m")`."""
    body = ToolCall(tool, tuple((name, expr(value)) for name, value in args.items()))
    return Node(id=id, op=Map("m", expr(over), body, on_error), name=id)


def joined(id: str, parts: Any, policy: Any = "all", *, guards: Any = (), **options: Any) -> Node:
    """`id = join(...)` of expressions, or of the name of a list."""
    op = Join(Ref(parts) if isinstance(parts, str) else tuple(parts), policy, **options)
    return Node(id=id, op=op, name=id, guards=tuple(guards), source=f"{id} = join(...)")


def answer(*values: Any, id: str = "answer", guards: Sequence[Guard] = ()) -> Node:
    return Node(id=id, op=Answer(tuple(expr(value) for value in values)), guards=tuple(guards))


def branch(condition: Expr, *, holds: bool = True) -> tuple[Guard, ...]:
    return (Guard(condition, holds),)


def all_refs(*names: str) -> list[Ref]:
    return [Ref(name) for name in names]


async def patches(
    graph: TaskGraph, chunks: Iterable[Sequence[Node]], *, gap: float = 0.0
) -> AsyncIterator[GraphPatch]:
    """One patch for each chunk, `gap` seconds before each."""
    for chunk in chunks:
        if gap:
            await asyncio.sleep(gap)
        yield GraphPatch(graph.version, tuple(chunk))


class Recorded:
    """A run with its graph, outcome and events."""

    def __init__(self) -> None:
        self.graph = TaskGraph()
        self.events: list[Event] = []
        self.outcome: RunOutcome | None = None

    def of(self, kind: str) -> list[str]:
        """Ids of the nodes that events of this kind are about, in order."""
        return [cast("Any", event).node for event in self.events if event.kind == kind]

    def at(self, kind: str, node: str) -> int:
        """The place of an event in the order of all."""
        places = [
            place
            for place, event in enumerate(self.events)
            if event.kind == kind and getattr(event, "node", None) == node
        ]
        assert places, f"no {kind} of {node}"
        return places[0]

    async def run(
        self,
        *nodes: Node,
        tools: Iterable[Any],
        chunks: Iterable[Sequence[Node]] | None = None,
        sequential: bool = False,
        gap: float = 0.0,
        **options: Any,
    ) -> RunOutcome:
        """Run `nodes` as one patch each, or `chunks` as patches. `options` are those of the run context."""
        parts = [[node] for node in nodes] if chunks is None else chunks
        self.outcome = await run_graph(
            self.graph,
            patches(self.graph, parts, gap=gap),
            RunContext(tools=ToolRegistry(tools), emit=self.events.append, **options),
            sequential=sequential,
        )
        assert_settled(self.graph)
        return self.outcome


def assert_settled(graph: TaskGraph) -> None:
    """Nothing is left running, on the loop or in the graph."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not others, f"tasks left behind: {others}"
    states = {id: graph.state(id) for id in graph.nodes}
    assert not {"pending", "running"} & set(states.values()), states
