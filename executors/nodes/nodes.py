"""The parts of a task graph: expressions over results, operations, nodes. All of it is frozen data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Scalar: TypeAlias = "bool | int | float | str | None"


@dataclass(frozen=True, slots=True)
class Const:
    """A literal. Text in it is data and is never read as a reference."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Ref:
    """A typed reference to a result.

    `city.population` is `Ref("city", ("population",))`, `rows[0]` is `Ref("rows", (0,))`.
    """

    name: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A `{name.path:spec}` inside an f-string."""

    ref: Ref
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """An f-string: literal text and fields, in order."""

    parts: tuple[str | Field, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal. Items whose node was skipped are left out."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class DictOf:
    """A dict literal with text keys."""

    items: tuple[tuple[str, Expr], ...]


CompareOp = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`. Chained comparisons become an `AllOf` of these."""

    op: CompareOp
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when all terms are true: `and`."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when one of the terms is true: `or`."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the term is false."""

    term: Expr


Expr: TypeAlias = "Const | Ref | Template | ListOf | DictOf | Compare | AllOf | AnyOf | Not"


def refs(expr: Expr) -> Iterator[Ref]:
    """Every reference in `expr`, in order of appearance."""
    match expr:
        case Const():
            return
        case Ref():
            yield expr
        case Template(parts):
            yield from (part.ref for part in parts if isinstance(part, Field))
        case ListOf(items) | AllOf(items) | AnyOf(items):
            for item in items:
                yield from refs(item)
        case DictOf(items):
            for _, value in items:
                yield from refs(value)
        case Compare(_, left, right):
            yield from refs(left)
            yield from refs(right)
        case Not(term):
            yield from refs(term)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Call a tool. The planner has turned positional arguments into names, against the tool's schema."""

    tool: str
    args: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the model by a reasoning method: `think("...", given=[a, b], method="self_consistency", n=8)`."""

    question: Expr
    given: tuple[Expr, ...] = ()
    method: str | None = None
    options: tuple[tuple[str, Scalar], ...] = ()
    """Options of the method, and `verifier` and `adapter`."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the person who runs the task."""

    question: Expr


@dataclass(frozen=True, slots=True)
class Answer:
    """End the plan with these values: `answer(...)`, or with no answer: `decline("reason")`."""

    values: tuple[Expr, ...]
    declines: bool = False
    """Whether the plan gives up. The only value is the reason, if it has one of its own."""


@dataclass(frozen=True, slots=True)
class Map:
    """`[body for var in over]`: one child per item, `heights[0]`, `heights[1]`, ...

    Inside `body`, `var` is a Ref to the item.
    """

    var: str
    over: Expr
    body: ToolCall | Think
    on_error: Literal["fail", "collect"] = "fail"


JoinPolicy = Literal["all", "first", "some", "vote", "verified", "confident"]
"""How a join decides what it takes of its parts."""


@dataclass(frozen=True, slots=True)
class Join:
    """`join([a, b, c], policy="first")`: one value, or several, of parts that run side by side.

    What the policy decides against is cancelled, unless another node reads it.
    """

    parts: tuple[Expr, ...] | Ref
    """The parts in plan order, or the name of a map or a list whose items they are."""
    policy: JoinPolicy = "all"
    """What it takes.

    - `all`: the list of all parts.
    - `first`: the part that ends well first.
    - `some`: the list of the `count` parts that end well first, in plan order.
    - `vote`: what most parts agree on, of equals the earliest.
    - `verified`: the part that passes the verifier first.
    - `confident`: the part of the highest `.confidence`.
    """
    count: int | None = None
    """The 2 of `2 of 3`, for `some`."""
    total: int | None = None
    """The 3 of `2 of 3`: how many parts there must be."""
    verifier: str | None = None
    """The tool that checks parts, for `verified`. None is the run's own verifier."""
    at_least: float | None = None
    """The score that passes the verifier (None: 0.5), or the confidence that wins at once (None: none)."""


Op: TypeAlias = "ToolCall | Think | Ask | Answer | Map | Join"

OpKind = Literal["tool", "think", "ask", "answer", "map", "join"]


@dataclass(frozen=True, slots=True)
class Guard:
    """The node runs only if `condition` comes out as `expected`.

    A node has one for each enclosing `if`, outermost first.
    """

    condition: Expr
    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One statement of a plan."""

    id: str
    """Unique in the graph."""
    op: Op
    name: str | None = None
    """What the statement binds. None for a bare call.

    Two nodes may share a name when they stand in opposite branches of one `if`, or when a revision rebinds a
    name whose nodes failed, were skipped or cancelled.
    """
    guards: tuple[Guard, ...] = ()
    round: int = 0
    """The round of planning that it comes from."""
    line: int = 0
    """Its line in the plan of that round, from 1."""
    source: str = ""
    """The statement's text."""
    tags: frozenset[str] = field(default_factory=lambda: frozenset[str]())


NodeState = Literal["pending", "running", "done", "failed", "blocked", "skipped", "cancelled", "uncertain"]
"""The state of a node. All but `pending`, `running` and `blocked` are final.

`blocked`: something that it needs failed. A later revision may still mend that.
`uncertain`: it called a mutating tool, and nobody knows whether that happened. It is never called again.
"""

FailureKind = Literal["missing", "outage", "error"]
"""Why a node failed.

- `missing`: what was asked for does not exist, or is not known.
- `outage`: the tool could not be used at all: it was out of reach, too slow, broken or set up wrongly.
- `error`: everything else, such as arguments that do not fit.
"""
