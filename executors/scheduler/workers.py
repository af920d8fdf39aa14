"""Worker tasks, which run ready nodes. A call that only computes costs no task of its own.

A worker runs one ready node after another for as long as they return without waiting for anything. A node
that does wait keeps its worker for itself, and other workers go on in its place. So a node always runs inside
one real task, which it may cancel, time out or name as it likes. Most of a large graph of quick calls runs in
one task.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, assert_never

from braid.executors.graph import NodeRecord
from braid.executors.nodes import Answer, Ask, Join, Map, Think, ToolCall
from braid.executors.scheduler.context import GraphContext, NodeTimeoutError
from braid.executors.scheduler.lifecycle import NodeLifecycle, RunState
from braid.executors.scheduler.priority import Priorities
from braid.executors.scheduler.slots import SlotQueue
from braid.executors.scheduler.think import ask_person, think
from braid.executors.scheduler.tool_calls import approve_call, call_tool, enter_node
from braid.executors.tools import CallMemo, Tool, UncertainError

SLICE: Final = 0.002
"""Seconds for which nodes that never wait may run before others get their turn on the event loop."""


class Workers:
    """The workers of one run and their slots."""

    def __init__(
        self, context: GraphContext, state: RunState, nodes: NodeLifecycle, *, sequential: bool
    ) -> None:
        self.priorities = Priorities(context.graph, context.estimate)
        self.slots = SlotQueue(
            1 if sequential else context.limits.max_concurrency,
            self._cap_of,
            None if sequential else self.priorities,
        )
        self._context = context
        self._state = state
        self._nodes = nodes
        self._sequential = sequential
        self._draining = False
        self._spare = 0
        self._unbooked = 0
        self._counts_calls = context.budget.remaining("calls") is not None
        self._plain_tools: dict[str, Tool | None] = {}
        self._pure: dict[str, bool] = {}
        self._waited: set[str] = set()

    @property
    def idle(self) -> bool:
        """True when no node is running and none may start."""
        if self.slots.active or self._draining:
            return False
        return self._state.stopped is not None or not self.slots.waiting

    def admit(self, entry: NodeRecord) -> None:
        """Queue `entry` for the slots that it needs."""
        self.slots.put(entry)
        if not self._draining and not self._spare:
            self.wake()

    def wake(self) -> None:
        """Make sure that there are workers for what is ready."""
        state = self._state
        if state.closing or state.stopped is not None or self._draining:
            return
        for _ in range(self.slots.startable - self._spare):
            self._spare += 1
            state.spawn(self._work(), "braid worker")

    async def _work(self) -> None:
        """Run ready nodes, one after another, until there are none or another worker does."""
        self._spare -= 1
        if self._draining:
            return
        state, slots, nodes, clock = self._state, self.slots, self._nodes, self._context.clock
        task = asyncio.current_task()
        assert task is not None
        draining = self._draining = True
        pause = clock() + SLICE
        try:
            while not state.closing and state.stopped is None and (entry := slots.acquire()) is not None:
                call = self._launch(entry, task)
                # What one node puts into context variables is not seen by the next.
                variables = state.variables.copy()
                if entry.tool is not None:
                    variables.run(enter_node, entry.node.id)
                try:
                    waits, value = _step(variables, call.send, None)
                    if waits:
                        draining = self._draining = False
                        self._hand_over(entry)
                        value = await _rest(call, value, variables)
                except GeneratorExit:
                    raise
                except BaseException as error:
                    # SystemExit and KeyboardInterrupt of a tool's own are its failure. The run lives on.
                    entry.task = None
                    nodes.fail(entry, error)
                else:
                    entry.task = None
                    nodes.succeed(entry, value)
                    self._observe(entry, waited=not draining)
                slots.release(entry)
                if task.cancelling():
                    break  # whatever the node did with it: this task is not for others any more
                if not draining:
                    if self._draining:
                        break
                    draining = self._draining = True
                    pause = clock() + SLICE
                elif clock() > pause:
                    self._book_calls()
                    await asyncio.sleep(0)
                    pause = clock() + SLICE
        except BaseException:
            state.closing = True  # an internal error, or a listener's: it ends the run
            raise
        finally:
            if draining:
                self._draining = False
            self._book_calls()
            if not state.closing:
                nodes.wake()

    def _launch(self, entry: NodeRecord, task: asyncio.Task[Any]) -> Coroutine[Any, Any, Any]:
        """Mark `entry` as running in `task`. Returns what is to be run."""
        context = self._context
        entry.task = task
        self._nodes.begin(entry)
        tool, memo = entry.tool, context.memo
        if tool is None:
            return self._run_node(entry)
        if context.journal is not None and not self._is_pure(tool):
            # A resumed run must find the inputs of the call again. Else it would make a different call.
            read = (entry, *context.graph.producers(entry))
            context.journal.commit([(each.parent or each).node.id for each in read])
        plain = self._plain_tools[tool] if tool in self._plain_tools else self._find_plain(tool)
        if plain is None:
            return self._run_node(entry)
        if memo is not None and memo.remembers(plain):
            return self._call_once(entry, plain, memo)
        self._unbooked += 1
        return plain.call_plain(entry.args)

    def _hand_over(self, entry: NodeRecord) -> None:
        """Wake another worker for the ready nodes. This one stays with its node, which waits."""
        if entry.tool is not None:
            self._waited.add(entry.tool)
            self.slots.instant.discard(entry.tool)
        self._book_calls()
        self.wake()

    def _observe(self, entry: NodeRecord, *, waited: bool) -> None:
        """Note how long a node took. Calls of a plain tool that never waited start first from now on."""
        if entry.state != "done":
            return
        entry.args = None
        tool = entry.tool
        if waited:
            self.priorities.observe(entry)
        elif (
            tool not in self.slots.instant and self._plain_tools.get(tool or "") and tool not in self._waited
        ):
            self.slots.instant.add(tool)

    async def _call_once(self, entry: NodeRecord, tool: Tool, memo: CallMemo) -> Any:
        """A call of a plain tool, or the result of an equal one."""

        def make() -> Coroutine[Any, Any, Any]:
            self._unbooked += 1
            return tool.call_plain(entry.args)

        emitter = self._context.emitter
        on_reused = partial(emitter.reused, entry, tool.name) if emitter.listening else None
        return await memo.call(tool, entry.args, make, on_reused=on_reused)

    def _find_plain(self, tool: str) -> Tool | None:
        """The tool if a call of it needs nothing but its function, else None. Decided once for each tool."""
        known = self._tool(tool)
        secrets = self._context.secrets
        watched = self._counts_calls or self._context.limits.node_timeout is not None
        watched = watched or (secrets is not None and secrets.watches(tool))
        self._plain_tools[tool] = known if known is not None and known.is_plain and not watched else None
        return self._plain_tools[tool]

    def _is_pure(self, tool: str) -> bool:
        if tool not in self._pure:
            known = self._tool(tool)
            self._pure[tool] = known is None or known.spec.effect == "pure"
        return self._pure[tool]

    def _tool(self, name: str) -> Tool | None:
        """A tool, or None for an unknown one: the call itself will say so."""
        tools = self._context.tools
        return tools.get(name) if name in tools else None

    def _cap_of(self, tool: str) -> int | None:
        known = self._tool(tool)
        return known.options.max_concurrency if known is not None else None

    def _book_calls(self) -> None:
        """Record in the budget the calls that needed no reservation, because no limit on calls is set."""
        if self._unbooked:
            self._context.budget.book(calls=self._unbooked)
            self._unbooked = 0

    async def _run_node(self, entry: NodeRecord) -> Any:
        context = self._context
        op = entry.node.op
        match op:
            case ToolCall(tool, _):
                if self._sequential and context.is_mutating(entry):
                    done = await approve_call(context, entry, context.tools.get(tool))
                    if done is not None:
                        return done.value
                work = call_tool(context, entry, tool)
            case Think():
                slack = self.priorities.slack(entry, context.graph.now())
                work = think(context, entry, op, priority=-slack)
            case Ask():
                if context.journal is not None:
                    context.journal.commit()
                return await ask_person(context, entry.args)
            case Answer() | Map() | Join():
                raise AssertionError(f"{entry.node.id!r} is not run as a task")
            case _:
                assert_never(op)
        limit = context.limits.node_timeout
        if limit is None:
            return await work
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await work
        except TimeoutError as error:
            if not timer.expired():
                raise
            message = f"no result after {limit:g} s (node_timeout)"
            if context.is_mutating(entry):
                raise UncertainError(f"{message}; whether the call happened is not known") from error
            raise NodeTimeoutError(message) from error


@types.coroutine
def _rest(
    call: Coroutine[Any, Any, Any], waits_for: Any, context: contextvars.Context
) -> Generator[Any, Any, Any]:
    """Await the rest of a coroutine that was started by hand and waits for something. Returns its result."""
    waits = True
    while waits:
        try:
            sent = yield waits_for
        except GeneratorExit:
            call.close()
            raise
        except BaseException as error:
            waits, waits_for = _step(context, call.throw, error)
        else:
            waits, waits_for = _step(context, call.send, sent)
    return waits_for


def _step(context: contextvars.Context, go_on: Callable[[Any], Any], given: Any) -> tuple[bool, Any]:
    """Run a coroutine up to its next wait: True and what it waits for, or False and its result."""
    try:
        return True, context.run(go_on, given)
    except StopIteration as ended:
        return False, ended.value
    except GeneratorExit as error:  # its own doing: nobody closes it here
        raise RuntimeError("it raised GeneratorExit") from error
