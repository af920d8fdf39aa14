"""Runs in a journal: a value, a plan with every kind of part, and nodes that ended."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from braid.engine import Usage
from braid.executors.journal import Journal, RunLog, start_run
from braid.executors.nodes.nodes import (
    AllOf,
    Answer,
    AnyOf,
    Ask,
    Compare,
    Const,
    DictOf,
    Field,
    Guard,
    Join,
    ListOf,
    Map,
    Node,
    Not,
    Ref,
    Template,
    Think,
    ToolCall,
)


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Fact:
    title: str
    value: float
    where: Point | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.title, "restoring runs no constructor"


def plan() -> tuple[Node, ...]:
    """A plan in which every kind of part occurs."""
    guard = Guard(Not(Compare("<", Ref("a", ("value", 0)), Const(1.5))), False)
    return (
        Node(
            id="a",
            name="a",
            op=ToolCall(
                "search",
                (
                    (
                        "query",
                        Template(("x ", Field(Ref("b"), ".2f"))),
                    )
                ),
            ),
        ),
        Node(
            id="m",
            name="m",
            op=Map("x", ListOf((Const(1), Ref("a"))), ToolCall("f", (("x", Ref("x")),)), "collect"),
        ),
        Node(
            id="t", op=Think(Const("why?"), (Ref("a"),), "direct", (("n", 3), ("x", None))), guards=(guard,)
        ),
        Node(
            id="q",
            op=Ask(Const("")),
            guards=(Guard(AllOf((Ref("a"), AnyOf(()))), True),),
            round=2,
            line=7,
            source="é",
        ),
        Node(
            id="r", op=Answer((DictOf((("k", Const(None)), ("l", Const(True)))),)), tags=frozenset({"b", "a"})
        ),
        Node(id="j", op=Join((Ref("a"), Const(1)), "some", 1, 2)),
        Node(id="k", op=Join(Ref("m"), "verified", verifier="f", at_least=0.0)),
        Node(id="no", op=Answer((Const("nobody knows"),), declines=True), guards=(guard,)),
    )


def settle(log: RunLog, node: str, value: Any = 1) -> None:
    """A node that ended with `value`."""
    log.settled(node, state="done", value=value, error=None, started=0.5, finished=1.5, usage=Usage(calls=1))


def fill(journal: Journal, run: str, *, value: Any = "v", nodes: int = 3) -> None:
    """A run of some nodes, which is over."""
    log = start_run(journal, run, question="q", spec={})
    log.begin()
    for number in range(nodes):
        settle(log, f"n{number}", value)
    log.finish("answered", "a")
