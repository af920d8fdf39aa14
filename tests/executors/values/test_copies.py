"""The receiver of a value may change it. Other nodes, attempts and later runs do not see that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from braid.executors import ToolContext, tool
from braid.executors.nodes import Ref
from braid.executors.scheduler import ToolCallRequest
from braid.executors.tools import CallMemo, MemoryResults
from braid.executors.values.copies import own_copy
from tests.support.written_plans import Recorded, answer, call, mapped


class Table(BaseModel):
    rows: list[int]


class Sealed(BaseModel):
    model_config = ConfigDict(frozen=True)
    rows: tuple[Any, ...]


@dataclass
class Basket:
    fruit: list[str] = field(default_factory=lambda: ["pear", "apple"])


MUTABLE: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "list": (lambda: [3, 1, 2], lambda value: value.sort()),
    "dict": (lambda: {"a": 1, "b": [1]}, lambda value: value.pop("a")),
    "inner list": (lambda: {"a": [{"b": [1, 2]}]}, lambda value: value["a"][0]["b"].pop()),
    "list in a tuple": (lambda: ("a", [1, 2]), lambda value: value[1].clear()),
    "set": (lambda: {1, 2}, lambda value: value.clear()),
    "bytearray": (lambda: bytearray(b"abc"), lambda value: value.reverse()),
    "model": (lambda: Table(rows=[3, 1, 2]), lambda value: value.rows.sort()),
    "models": (lambda: [Table(rows=[1])], lambda value: value[0].rows.pop()),
    "list in a frozen model": (lambda: Sealed(rows=([1],)), lambda value: value.rows[0].pop()),
    "dataclass": (Basket, lambda value: setattr(value, "fruit", [])),
}
"""How a value of each kind is made, and how it is changed."""


@pytest.fixture(params=MUTABLE)
def kind(request: pytest.FixtureRequest) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return MUTABLE[request.param]


@tool(cache="never")
def show(value: Any, after: str = "") -> str:
    """The value as text."""
    return repr(value)


@pytest.mark.parametrize(
    "options",
    [{}, {"inline": True}, {"timeout": 5.0}, {"effect": "idempotent"}, {"effect": "mutating"}],
    ids=str,
)
async def test_a_change_of_an_argument_is_seen_by_nobody(
    kind: tuple[Callable[[], Any], Callable[[Any], object]], options: dict[str, Any]
) -> None:
    make, change = kind

    @tool
    def source() -> Any:
        return make()

    @tool(**options)
    def spoil(value: Any) -> str:
        change(value)
        return "spoiled"

    async def approve(request: ToolCallRequest) -> bool:
        change(request.args["value"])
        return True

    run, memo = Recorded(), CallMemo()
    nodes = [
        call("a", "source"),
        call("b", "spoil", value=Ref("a")),
        call("c", "show", value=Ref("a"), after=Ref("b")),
        answer(Ref("c"), Ref("a")),
    ]
    outcome = await run.run(*nodes, tools=[source, spoil, show], approve=approve, memo=memo)
    assert outcome.answer == (repr(make()), make())
    assert run.graph.result("b") == "spoiled" and run.graph.result("a") == make()
    later = Recorded()
    await later.run(call("a", "source"), tools=[source], memo=memo)
    assert later.graph.result("a") == make()


async def test_arguments_of_every_type_are_the_tools_own() -> None:
    @tool
    async def source() -> Any:
        return [Table(rows=[2, 1])]

    @tool
    async def model(value: Table) -> None:
        value.rows.clear()

    @tool
    async def models(value: list[Table]) -> None:
        value.pop().rows.clear()

    @tool
    async def sequence(value: Sequence[Table]) -> None:
        cast("list[Table]", value).pop().rows.clear()

    @tool
    async def union(value: dict[str, int] | Table | None) -> None:
        cast("Table", value).rows.clear()

    @tool
    async def twice(value: list[Any], other: list[Any]) -> list[Any]:
        value.clear()
        return other

    one, whole = Ref("a", (0,)), Ref("a")
    run = Recorded()
    await run.run(
        call("a", "source"),
        call("b", "model", value=one),
        call("c", "models", value=[one]),
        call("d", "sequence", value=whole),
        call("e", "union", value=one),
        call("f", "twice", value=whole, other=whole),
        tools=[source, model, models, sequence, union, twice],
    )
    assert {run.graph.state(id) for id in "abcdef"} == {"done"}
    assert run.graph.result("a") == run.graph.result("f") == [Table(rows=[2, 1])]


async def test_every_item_of_a_map_sees_what_the_first_one_saw() -> None:
    @tool
    def source() -> list[Any]:
        return [[1, 2], [3, 4]]

    @tool
    def take(item: Any, stock: Any) -> tuple[int, int]:
        return item.pop(), len(stock.pop())

    run = Recorded()
    await run.run(
        call("xs", "source"),
        mapped("ys", Ref("xs"), "take", item=Ref("m"), stock=Ref("xs")),
        mapped("zs", Ref("xs"), "take", item=Ref("m"), stock=Ref("xs")),
        tools=[source, take],
    )
    assert run.graph.result("ys") == run.graph.result("zs") == [(2, 2), (4, 2)]
    assert run.graph.result("xs") == [[1, 2], [3, 4]]


async def test_each_attempt_gets_what_the_first_one_got() -> None:
    seen: list[list[int]] = []

    @tool
    async def source() -> Any:
        return [1, 2]

    @tool(retries=2, backoff=0.0)
    async def flaky(value: list[int]) -> int:
        seen.append(list(value))
        value.pop()
        if len(seen) < 3:
            raise ConnectionError("not yet")
        return len(value)

    run = Recorded()
    await run.run(call("a", "source"), call("b", "flaky", value=Ref("a")), tools=[source, flaky])
    assert run.graph.result("b") == 1 and seen == [[1, 2]] * 3


async def test_a_hedged_call_gets_what_the_first_one_got() -> None:
    seen: list[list[int]] = []

    @tool(hedge=0.01)
    async def slow(value: Any) -> int:
        seen.append(list(value))
        value.pop()
        await asyncio.sleep(0.2 if len(seen) == 1 else 0.0)
        return len(value)

    run = Recorded()
    await run.run(call("a", "slow", value=[1, 2]), tools=[slow])
    assert run.graph.result("a") == 1 and seen == [[1, 2]] * 2


@pytest.mark.parametrize("memory", ["run", "later runs"])
async def test_what_a_caller_does_to_a_result_equal_calls_do_not_see(
    kind: tuple[Callable[[], Any], Callable[[Any], object]], memory: str
) -> None:
    make, change = kind
    calls: list[str] = []

    @tool
    async def source() -> Any:
        calls.append("source")
        return make()

    memo, kept = CallMemo(), MemoryResults()
    for _ in range(3):
        run = Recorded()
        memo = memo if memory == "run" else CallMemo(kept, for_all=True)
        outcome = await run.run(call("a", "source"), answer(Ref("a")), tools=[source], memo=memo)
        assert outcome.answer is not None and outcome.answer == (make(),)
        change(outcome.answer[0])
        assert run.graph.result("a") == make()
        change(run.graph.result("a"))
        assert run.graph.result("a") == make()
    assert calls == ["source"]


async def test_those_who_waited_for_one_call_do_not_share_its_result() -> None:
    @tool
    async def source() -> Any:
        await asyncio.sleep(0.01)
        return [1, 2]

    @tool(cache="never")
    async def take(value: Any) -> int:
        return value.pop() + len(value)

    run = Recorded()
    nodes = [
        node
        for i in range(3)
        for node in (call(f"a{i}", "source"), call(f"b{i}", "take", value=Ref(f"a{i}")))
    ]
    outcome = await run.run(
        *nodes, answer(Ref("b0"), Ref("b1"), Ref("b2")), tools=[source, take], memo=CallMemo()
    )
    assert outcome.answer == (3, 3, 3) and len(run.of("tool.reused")) == 2


async def test_what_a_tool_goes_on_changing_stays_what_it_returned() -> None:
    log: list[int] = []

    @tool(effect="idempotent")
    async def note(value: int) -> list[int]:
        log.append(value)
        return log

    run = Recorded()
    nodes = [call("a", "note", value=1), call("b", "note", value=Ref("a", (0,)))]
    outcome = await run.run(*nodes, answer(Ref("a"), Ref("b")), tools=[note])
    assert outcome.answer == ([1], [1, 1])


async def test_deps_are_shared_and_are_no_values() -> None:
    @tool(effect="idempotent")
    async def count(context: ToolContext[list[int]], value: Any) -> int:
        context.deps.append(len(value))
        return len(context.deps)

    deps: list[int] = []
    run = Recorded()
    await run.run(
        call("a", "count", value=[1]), call("b", "count", value=[Ref("a")]), tools=[count], deps=deps
    )
    assert run.graph.result("b") == 2 and deps == [1, 1]


# The copies themselves.


class Word(Enum):
    YES = "yes"


class Point(NamedTuple):
    x: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    value: float
    source: Sealed


@pytest.mark.parametrize(
    "value",
    [
        "text" * 10_000,
        10**100,
        b"bytes",
        None,
        Word.YES,
        datetime.now(),
        Decimal(1),
        (1, ("a", None)),
        frozenset({1, 2}),
        Point(1, ("a",)),
        Sealed(rows=(1, "a")),
        Fact(1.0, Sealed(rows=())),
        Point,
        open,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_nobody_can_change_is_not_copied(value: Any) -> None:
    assert own_copy(value) is value
    assert own_copy([value])[0] is value and own_copy({"a": (value, [])})["a"][0] is value


class Proxy:
    """Stands for another object, whatever it is asked."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)


class Refuses:
    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise ValueError("there is only one of me")


@dataclass
class Guarded:
    rows: list[Any]
    lock: Any = field(default_factory=threading.Lock)


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), (i for i in range(3)), asyncio, Refuses(), Guarded([1]), Proxy(Table(rows=[1]))],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_copied_is_shared_and_the_rest_is_not(value: Any) -> None:
    assert own_copy(value) is value
    rows = [1]
    given = {"rows": rows, "it": [value, rows], "again": (value,)}
    found = own_copy(given)
    assert found["it"][0] is found["again"][0] is value
    assert found["rows"] == [1] and found["rows"] is found["it"][1] is not rows


def test_a_copy_that_was_given_up_leaves_nothing_behind() -> None:
    rows: list[Any] = [1, threading.Lock(), 2]
    found = own_copy([Guarded(rows), rows])
    assert found[1] == rows and found[1] is not rows


def test_a_copy_is_linked_as_its_original_is() -> None:
    table = Table(rows=[1])
    circle: list[Any] = [table, {"table": table}]
    circle.append(circle)
    found = own_copy(circle)
    assert found is not circle and found[2] is found and found[0] is found[1]["table"] is not table


def test_a_value_that_is_nested_too_deeply_is_shared() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert own_copy(deep) is deep


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
)


@given(json_like)
def test_a_copy_is_equal_and_shares_nothing_that_can_be_changed(value: Any) -> None:
    def changeable(part: Any) -> set[int]:
        if isinstance(part, dict):
            inner = list(cast("dict[str, Any]", part).values())
        elif isinstance(part, (list, tuple)):
            inner = list(cast("list[Any]", part))
        else:
            return set()
        own = set[int]() if isinstance(part, tuple) else {id(cast("Any", part))}
        return own.union(*map(changeable, inner))

    found = own_copy(value)
    assert found == value and not changeable(found) & changeable(value)
