import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from braid.engine import BraidError, CapabilityError
from braid.executors import Tool, ToolContext, tool
from braid.executors.tools.errors import ToolArgumentError, ToolDefinitionError, ToolError, ToolTimeoutError


class Place(BaseModel):
    name: str
    height: float = 0


@dataclass
class Point:
    x: int
    y: int = 0


class Fact(BaseModel):
    value: float | str
    unit: str = ""

    def short_form(self) -> str:
        return f"{self.value} {self.unit}".strip()


# Schemas


def test_schema_and_descriptions() -> None:
    @tool(effect="idempotent", examples=("find('K2')",))
    def find(
        query: str,
        kind: Literal["peak", "lake"] = "peak",
        *,
        near: Place | None = None,
        limit: Annotated[int, Field(ge=1, description="how many")] = 3,
    ) -> list[Place]:
        """Find places
        by name.

        Longer text.

        Args:
            query: what to look for:
                a name
            kind (str): what it is

        Returns:
            limit: not a parameter
        """
        return []

    spec = find.spec
    assert (spec.name, spec.description, spec.effect) == ("find", "Find places by name.", "idempotent")
    assert spec.examples == ("find('K2')",)
    properties = spec.parameters["properties"]
    assert list(properties) == ["query", "kind", "near", "limit"]
    assert properties["query"] == {"type": "string", "description": "what to look for: a name"}
    assert properties["kind"]["enum"] == ["peak", "lake"]
    assert properties["kind"]["description"] == "what it is"
    assert properties["limit"] == {"type": "integer", "minimum": 1, "description": "how many", "default": 3}
    assert properties["near"]["default"] is None
    assert spec.parameters["required"] == ["query"]
    assert spec.parameters["additionalProperties"] is False
    assert spec.returns is not None and spec.returns["type"] == "array"
    assert find("x") == []
    assert "find(query" in repr(find)


def test_hints_as_strings_may_name_local_classes() -> None:
    class Local(BaseModel):
        a: int

    @tool
    def use(value: "Local") -> "Local":
        return value

    assert use.spec.returns is not None and use.spec.returns["title"] == "Local"


def unannotated(a):  # type: ignore[no-untyped-def]
    return a


def variadic(*names: str) -> None: ...
def keywords(**names: str) -> None: ...
def positional(a: str, /) -> None: ...
def callback(a: Callable[[], int]) -> None: ...
def arbitrary(a: threading.Thread) -> None: ...
def unresolved(a: "Nowhere") -> None: ...  # noqa: F821
def late_context(a: int, context: ToolContext[Any]) -> None: ...
def field_default(a: int = Field(default=1)) -> None: ...
def yields(a: int) -> Any:
    yield a


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (unannotated, "'a' has no type annotation"),
        (variadic, r"\*names"),
        (keywords, r"\*\*names"),
        (positional, "positional-only"),
        (callback, "'a' has a type that JSON cannot carry"),
        (arbitrary, "'a' has a type that JSON cannot carry"),
        (unresolved, "Nowhere"),
        (late_context, "must come first"),
        (field_default, "Annotated"),
        (yields, "return a list"),
        (lambda: 1, "Python identifier"),
    ],
)
def test_what_cannot_be_a_tool(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(ToolDefinitionError, match=says):
        tool(function)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "two words"},
        {"name": "answer"},
        {"name": "class"},
        {"effect": "harmless"},
        {"timeout": 0},
        {"retries": -1},
        {"retries": 1, "effect": "mutating"},
        {"max_concurrency": 0},
    ],
)
def test_what_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError):
        tool(**options)(lambda: None)


# Arguments


@tool
async def take(
    whole: int = 0,
    number: float = 0.0,
    text: str = "",
    flag: bool = False,
    either: float | str = "",
    many: list[float] | None = None,
    table: dict[str, int] | None = None,
    pair: tuple[str, int] | None = None,
    place: Place | None = None,
    point: Point | None = None,
    day: date | None = None,
    anything: Any = None,
) -> dict[str, Any]:
    return {name: value for name, value in locals().items() if value not in (0, "", None, False)}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"whole": 3.0}, {"whole": 3}),
        ({"number": 3}, {"number": 3.0}),
        ({"number": Fact(value=2.5)}, {"number": 2.5}),
        ({"whole": Fact(value=2.0)}, {"whole": 2}),
        ({"many": [Fact(value=1.5), 2]}, {"many": [1.5, 2.0]}),
        ({"text": Fact(value="Paris")}, {"text": "Paris"}),
        ({"text": Fact(value=8611, unit="m")}, {"text": "8611.0 m"}),
        ({"either": "3"}, {"either": "3"}),
        ({"either": 3}, {"either": 3.0}),
        ({"table": {"a": 1}}, {"table": {"a": 1}}),
        ({"pair": ["a", 1]}, {"pair": ("a", 1)}),
        ({"place": {"name": "K2", "height": 8611}}, {"place": Place(name="K2", height=8611)}),
        ({"place": Place(name="K2")}, {"place": Place(name="K2")}),
        ({"point": {"x": 1}}, {"point": Point(1)}),
        ({"day": "2024-02-29"}, {"day": date(2024, 2, 29)}),
        ({"text": "$1 {x} \n'\"é"}, {"text": "$1 {x} \n'\"é"}),
        ({"anything": {"nested": [1, {"a": ()}]}}, {"anything": {"nested": [1, {"a": ()}]}}),
        ({}, {}),
    ],
)
async def test_coercion(given: dict[str, Any], taken: dict[str, Any]) -> None:
    result = await take.call(given)
    assert result == taken
    assert [type(value) for value in result.values()] == [type(value) for value in taken.values()]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"whole": "3"}, "whole: .*got '3' .text is not read as a number"),
        ({"whole": 3.5}, "whole"),
        ({"whole": True}, "whole"),
        ({"number": "3"}, "number"),
        ({"number": True}, "number"),
        ({"number": None}, "number"),
        ({"number": Fact(value="Paris")}, "number"),
        ({"text": 3}, 'text: .*f"{...}"'),
        ({"flag": 1}, "flag"),
        ({"flag": "yes"}, "flag"),
        ({"many": [1, "x"]}, r"many\.1"),
        ({"many": "12"}, "many"),
        ({"table": {"a": 1.5}}, r"table\.a"),
        ({"place": {}}, "argument 'place.name' is missing"),
        ({"wole": 3}, "unknown argument 'wole'; did you mean 'whole'"),
        ({"zzz": 3}, "it takes whole, number"),
        ({"text": "x" * 10_000, "whole": "y" * 10_000}, r"\.\.\."),
    ],
)
async def test_refusals(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolArgumentError, match=says) as caught:
        await take.call(given)
    assert caught.value.tool == "take"
    assert len(str(caught.value)) < 1000


# Calls


async def test_kinds_of_functions() -> None:
    class Adder:
        async def __call__(self, a: int, b: int) -> int:
            return a + b

        def method(self, a: int) -> int:
            return a

    async def shifted(a: int, b: int) -> int:
        return a - b

    assert await Tool(Adder(), name="add").call({"a": 1, "b": 2}) == 3
    assert await tool(Adder().method).call({"a": 1}) == 1
    assert await Tool(functools.partial(shifted, b=1), name="shift").call({"a": 5}) == 4


async def test_the_context_is_injected_and_hidden() -> None:
    @tool(effect="mutating")
    def note(context: ToolContext[dict[str, int]], text: str) -> tuple[Any, ...]:
        return context.deps, context.node_id, context.idempotency_key, context.attempt, text

    assert list(note.spec.parameters["properties"]) == ["text"]
    assert await note.call({"text": "a"}, deps={"k": 1}) == ({"k": 1}, "", "", 1, "a")
    given = ToolContext(deps={"k": 2}, node_id="n", idempotency_key="key")
    assert await note.call({"text": "a"}, context=given) == ({"k": 2}, "n", "key", 1, "a")
    with pytest.raises(ToolArgumentError):
        await note.call({"text": "a", "context": 1})


async def test_context_variables_reach_threads() -> None:
    variable = contextvars.ContextVar("variable", default="none")

    @tool
    def read() -> tuple[str, str]:
        return variable.get(), threading.current_thread().name

    variable.set("mine")
    value, thread = await read.call({})
    assert value == "mine"
    assert thread != threading.main_thread().name


class Odd(BaseException):
    pass


@pytest.mark.parametrize("kind", ["async", "thread", "inline"])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        TimeoutError("theirs"),
        StopIteration(3),
        SystemExit(2),
        GeneratorExit(),
        Odd("odd"),
        asyncio.CancelledError(),
        KeyError("k"),
        RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_tool_raises_is_a_tool_error(kind: str, error: BaseException) -> None:
    async def later() -> None:
        raise error

    def at_once() -> None:
        raise error

    made = Tool(later if kind == "async" else at_once, name="bad", inline=kind == "inline", timeout=5)
    with pytest.raises(ToolError, match="bad") as caught:
        await made.call({})
    assert not isinstance(caught.value, ToolTimeoutError)
    assert caught.value.__cause__ is not None


async def test_keyboard_interrupt_in_a_thread_is_the_tools_own() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(ToolError, match="KeyboardInterrupt"):
        await Tool(interrupt).call({})


@pytest.mark.parametrize("error", [ToolError("no such title"), CapabilityError("cut", "x")])
async def test_errors_of_ours_pass_unchanged_and_are_not_retried(error: BraidError) -> None:
    calls = 0

    @tool(retries=3, backoff=0)
    async def refuse() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(BraidError) as caught:
        await refuse.call({})
    assert caught.value is error
    assert calls == 1


async def test_retries() -> None:
    seen: list[int] = []
    told: list[tuple[int, str]] = []

    @tool(effect="idempotent", retries=2, backoff=0.001)
    async def flaky(context: ToolContext[None], fail: int) -> int:
        seen.append(context.attempt)
        if context.attempt <= fail:
            raise ConnectionError(f"try {context.attempt}")
        return context.attempt

    def on_retry(attempt: int, error: BraidError, delay: float) -> None:
        assert delay >= 0
        told.append((attempt, str(error)))

    assert await flaky.call({"fail": 2}, on_retry=on_retry) == 3
    assert told == [(1, "flaky: ConnectionError: try 1"), (2, "flaky: ConnectionError: try 2")]
    with pytest.raises(ToolError, match="try 3"):
        await flaky.call({"fail": 9})
    assert seen == [1, 2, 3, 1, 2, 3]


async def test_a_bad_argument_is_not_retried() -> None:
    with pytest.raises(ToolArgumentError):
        await Tool(named, retries=5, backoff=60).call({"name": 1})


def named(name: str) -> str:
    return name


async def test_timeout_cancels_a_coroutine_and_may_be_retried() -> None:
    cancelled = 0

    @tool(timeout=0.02, retries=1, backoff=0)
    async def slow() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise

    with pytest.raises(ToolTimeoutError, match=r"slow: no result after 0\.02 s") as caught:
        await slow.call({})
    assert caught.value.seconds == 0.02
    assert cancelled == 2


async def test_a_thread_that_stops_when_asked_is_not_abandoned() -> None:
    abandoned: list[str] = []
    ended = threading.Event()

    @tool(timeout=0.02)
    def polite(context: ToolContext[None]) -> None:
        while not context.stopping:
            time.sleep(0.005)
        ended.set()

    with pytest.raises(ToolTimeoutError):
        await polite.call({}, on_abandoned=lambda name, _: abandoned.append(name))
    assert ended.is_set()
    assert abandoned == []


async def test_a_thread_that_never_returns_is_abandoned_and_reported() -> None:
    release = threading.Event()
    abandoned: list[str] = []

    @tool(max_concurrency=1)
    def stuck() -> None:
        release.wait()

    def note(name: str, seconds: float) -> None:
        assert seconds >= 0
        abandoned.append(name)

    try:
        timed = Tool(stuck.function, name="timed", timeout=0.02, max_concurrency=1)
        with pytest.raises(ToolTimeoutError):
            await timed.call({}, on_abandoned=note)
        call = asyncio.create_task(stuck.call({}, on_abandoned=note))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert abandoned == ["timed", "stuck"]
        # Neither its slot nor the threads of others are gone.
        with pytest.raises(ToolTimeoutError):
            await timed.call({})
        assert await Tool(named).call({"name": "x"}) == "x"
    finally:
        release.set()


async def test_a_hundred_calls_under_a_cap() -> None:
    lock = threading.Lock()
    running = most = 0

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return item

    async def work_async(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return item

    for function in (work, work_async):
        most = 0
        capped = Tool(function, max_concurrency=7)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(capped.call({"item": item})) for item in range(100)]
        assert [call.result() for call in calls] == list(range(100))
        assert most == 7


async def test_cancelling_frees_the_slot() -> None:
    @tool(max_concurrency=1)
    async def wait(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    first = asyncio.create_task(wait.call({"seconds": 60}))
    second = asyncio.create_task(wait.call({"seconds": 0}))
    await asyncio.sleep(0.01)
    assert not second.done()
    first.cancel()
    assert await second == "done"


def test_the_cap_holds_on_each_loop_anew() -> None:
    @tool(max_concurrency=1)
    async def quick() -> int:
        return 1

    async def twice() -> int:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(quick.call({})) for _ in range(2)]
        return sum(call.result() for call in calls)

    assert asyncio.run(twice()) == asyncio.run(twice()) == 2


async def test_arguments_are_not_shared_with_the_caller() -> None:
    @tool(inline=True)
    def spoil(items: list[int]) -> int:
        items.append(1)
        return len(items)

    given = [1, 2]
    assert await spoil.call({"items": given}) == 3
    assert given == [1, 2]
