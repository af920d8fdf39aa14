"""Calls of a tool: its context, its errors, its attempts, and its threads."""

import asyncio
import contextvars
import functools
import threading
import time
from typing import Any

import pytest

from braid.engine import BraidError, CapabilityError
from braid.executors import Tool, ToolContext, ToolOptions, tool
from braid.executors.tools import ToolArgumentError, ToolError, ToolTimeoutError


async def test_kinds_of_functions() -> None:
    class Adder:
        async def __call__(self, a: int, b: int) -> int:
            return a + b

        def method(self, a: int) -> int:
            return a

    async def shifted(a: int, b: int) -> int:
        return a - b

    assert await tool(name="add")(Adder()).call({"a": 1, "b": 2}) == 3
    assert await tool(Adder().method).call({"a": 1}) == 1
    assert await tool(name="shift")(functools.partial(shifted, b=1)).call({"a": 5}) == 4


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

    made = tool(name="bad", inline=kind == "inline", timeout=5)(later if kind == "async" else at_once)
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
        await tool(retries=5, backoff=60)(named).call({"name": 1})


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
        timed = tool(name="timed", timeout=0.02, max_concurrency=1)(stuck.function)
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
        capped = Tool(function, ToolOptions(max_concurrency=7))
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


async def raising(error: BaseException, *more: BaseException, nested: bool = False) -> None:
    async def fail(error: BaseException) -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        if nested:
            group.create_task(raising(error))
        else:
            group.create_task(fail(error))
        for each in more:
            group.create_task(fail(each))


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    ("errors", "nested", "message"),
    [
        ([ValueError("no such row")], False, "find: ValueError: no such row"),
        ([ValueError("no such row")], True, "find: ValueError: no such row"),
        ([KeyError("a"), OSError("disk")], False, "find: KeyError: 'a'; OSError: disk"),
        ([ValueError(str(i)) for i in range(7)], False, "ValueError: 4; and 2 more"),
    ],
)
async def test_an_error_in_a_task_group_is_told(
    errors: list[BaseException], nested: bool, message: str, inline: bool
) -> None:
    @tool(inline=inline)
    async def find() -> None:
        await raising(*errors, nested=nested)

    for call in (find.call({}), find.call_plain({})):
        with pytest.raises(ToolError) as caught:
            await call
        assert message in str(caught.value)
        if len(errors) == 1:
            assert caught.value.__cause__ is errors[0]


async def test_a_tool_error_in_a_task_group_is_not_tried_again() -> None:
    attempts: list[int] = []

    @tool(retries=3, backoff=0.0)
    async def find() -> None:
        attempts.append(1)
        await raising(ToolError("no such title"), nested=True)

    with pytest.raises(ToolError, match="no such title"):
        await find.call({})
    assert len(attempts) == 1


async def test_retries_see_the_error_in_a_task_group() -> None:
    attempts: list[int] = []

    @tool(retries=1, backoff=0.0, retry_on=ConnectionError)
    def find() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ExceptionGroup("two", [ExceptionGroup("one", [ConnectionError("reset")])])
        return "found"

    assert await find.call({}) == "found"
