"""Nodes that wait for a person: for the answer to a question, for an approval, or for word of how a call ended.

They hold no slot of the run or of their tool, so that a person who takes an hour holds up only what reads the node.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from braid.executors.graph import FINAL, NodeRecord, reopen, tool_of
from braid.executors.nodes import Ask
from braid.executors.scheduler.think import RunContext, ask_person
from braid.executors.scheduler.tool_calls import Teller, clear, find_fate
from braid.executors.tools import Done, NotDone, Tool, ToolError, UncertainError

T = TypeVar("T")


class Host(Protocol):
    """The run."""

    around: RunContext
    group: asyncio.TaskGroup
    context: contextvars.Context
    closing: bool

    @property
    def tell(self) -> Teller | None: ...
    def begin(self, entry: NodeRecord) -> None: ...
    def admit(self, entry: NodeRecord) -> None: ...
    def again(self, entry: NodeRecord) -> None: ...
    def ended_well(self, entry: NodeRecord, value: Any) -> None: ...
    def ended_badly(self, entry: NodeRecord, error: BaseException) -> None: ...
    def left(self) -> None: ...


class Approvals:
    """The nodes of one run that wait for a person now, each in a task of its own.

    `doubtful` are those whose call may or may not have happened, as long as they are not settled.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.waiting: dict[NodeRecord, asyncio.Task[None]] = {}
        self.doubtful: set[NodeRecord] = set()

    def consult(self, entry: NodeRecord) -> None:
        """Put an `ask` to the person, or get a mutating call cleared and then admit it to the slots."""
        host = self.host
        if isinstance(entry.node.op, Ask):
            host.begin(entry)
            self._wait(
                entry,
                lambda: ask_person(host.around, entry.args),
                partial(host.ended_well, entry),
                partial(host.ended_badly, entry),
            )
        else:
            self._wait(
                entry,
                lambda: clear(host.around, entry, self._tool(entry), host.tell),
                partial(self._cleared, entry, entry.epoch),
                partial(self._refused, entry, entry.epoch),
            )

    def find_fate(self, entry: NodeRecord) -> None:
        """A mutating call ended so that nobody knows whether it happened: find out.

        The entry stays running until then. When it is cancelled meanwhile, what is found out is still told.
        """
        host = self.host
        self.doubtful.add(entry)
        self._wait(
            entry,
            lambda: find_fate(host.around, entry, self._tool(entry), host.tell),
            partial(self._found_out, entry),
            partial(self._unknown, entry),
        )

    def look_into(self, entry: NodeRecord) -> None:
        """The same for a call that an earlier process began. One that did not happen is made now, unless it was settled."""
        self.doubtful.add(entry)
        if entry.state not in FINAL:
            entry.state = "running"
        self._wait(
            entry,
            lambda: self._fate_of(entry),
            partial(self._looked_into, entry),
            partial(self._unknown, entry),
        )

    def drop(self, entry: NodeRecord) -> None:
        """Wait no longer for `entry`."""
        task = self.waiting.pop(entry, None)
        if task is not None:
            task.cancel()

    def _wait(
        self,
        entry: NodeRecord,
        work: Callable[[], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.drop(entry)
        host = self.host
        self.waiting[entry] = host.group.create_task(
            self._run(entry, work, done, failed), name=f"{entry.node.id} waits", context=host.context.copy()
        )

    async def _run(
        self,
        entry: NodeRecord,
        work: Callable[[], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        host, task = self.host, asyncio.current_task()
        assert task is not None
        try:
            try:
                result = await work()
            except GeneratorExit:
                raise
            except BaseException as error:
                if task.cancelling():
                    raise  # whoever cancelled it has settled the entry, or will
                self._forget(entry, task)
                failed(error)
            else:
                self._forget(entry, task)
                done(result)
        except BaseException:
            # A cancellation is told by who cancels; anything else is an error of ours, or of who listens to events.
            host.closing = host.closing or not task.cancelling()
            raise
        finally:
            self._forget(entry, task)
            if not host.closing:
                host.left()

    def _forget(self, entry: NodeRecord, task: asyncio.Task[None]) -> None:
        if self.waiting.get(entry) is task:
            del self.waiting[entry]

    def _cleared(self, entry: NodeRecord, epoch: int, done: Done | None) -> None:
        if entry.epoch != epoch or entry.state != "pending":
            return  # its inputs were bound anew: it was consulted about again
        if done is None:
            self.host.admit(entry)
        else:
            self.host.begin(entry)
            self.host.ended_well(entry, done.value)

    def _refused(self, entry: NodeRecord, epoch: int, error: BaseException) -> None:
        if entry.epoch == epoch and entry.state == "pending":
            self.doubtful.add(entry)  # if it is about that, everybody was asked
            self.host.begin(entry)
            self.host.ended_badly(entry, error)

    def _found_out(self, entry: NodeRecord, fate: Done | NotDone) -> None:
        if isinstance(fate, Done):
            self._happened(entry, fate)
        else:
            name = self._tool(entry).name
            self.host.ended_badly(entry, ToolError(f"{name}: the call did not come through", tool=name))

    async def _fate_of(self, entry: NodeRecord) -> Done | None:
        name = entry.tool or ""
        if name not in self.host.around.tools:
            raise UncertainError(
                f"{name} is not among the tools; whether its call happened is not known", tool=name
            )
        return await clear(self.host.around, entry, self._tool(entry), self.host.tell)

    def _looked_into(self, entry: NodeRecord, done: Done | None) -> None:
        if done is not None:
            self._happened(entry, done)
        elif entry.state == "running":
            self.doubtful.discard(entry)
            self.host.again(entry)

    def _happened(self, entry: NodeRecord, done: Done) -> None:
        self._run_on(entry)
        self.host.ended_well(entry, done.value)

    def _unknown(self, entry: NodeRecord, error: BaseException) -> None:
        if entry.state == "running" or isinstance(error, UncertainError):
            self._run_on(entry)
            self.host.ended_badly(entry, error)

    def _run_on(self, entry: NodeRecord) -> None:
        """Let `entry` count as running, whatever it was settled as."""
        if entry.state in FINAL:
            reopen(entry)
            entry.state = "running"
        if entry.started is None:
            self.host.begin(entry)

    def _tool(self, entry: NodeRecord) -> Tool:
        return self.host.around.tools.get(tool_of(entry.node) or "")
