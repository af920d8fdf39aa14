"""One tool call of a run: what must be cleared up before it, what it costs, and what is written down about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Protocol

from braid.engine import BraidError
from braid.engine.scope import use_budget
from braid.executors.graph import NodeRecord
from braid.executors.scheduler.think import ApprovalError, NobodyToAskError, RunContext, ToolCallRequest
from braid.executors.tools import Done, NotDone, Recorded, Tool, ToolContext, ToolError, UncertainError
from braid.executors.values import explain, own_copies, preview


class Teller(Protocol):
    """Who is told what happens during a call."""

    def retried(self, entry: NodeRecord, attempt: int, error: BraidError, wait: float) -> None: ...
    def abandoned(self, entry: NodeRecord, tool: str, seconds: float) -> None: ...
    def hedged(self, entry: NodeRecord, tool: str, second_won: bool, wasted: float) -> None: ...
    def reused(self, entry: NodeRecord, tool: str, source: Literal["run", "earlier run"]) -> None: ...
    def waits(self, entry: NodeRecord, reason: Literal["approval", "outcome"]) -> None: ...


async def call_tool(around: RunContext, entry: NodeRecord, tool: str, tell: Teller | None) -> Any:
    """Call `tool` with the entry's arguments, or take the result of an equal call of a pure tool.

    Each attempt is paid for with one call of the budget. A mutating call must have been cleared (`clear`); that it begins is
    written down before it does, and so is how it ended.

    Raises:
        BudgetExceededError: no call is left.
        UncertainError: nobody knows whether a mutating call happened.
        BraidError: what `Tool.call` raises.
    """
    found = around.tools.get(tool)
    make = partial(_make, around, entry, found, tell)
    if around.memo is None:
        return await make()
    on_reused = partial(tell.reused, entry, tool) if tell is not None else None
    return await around.memo.call(found, entry.args, make, on_reused=on_reused)


async def _make(around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None) -> Any:
    if tool.is_plain:
        around.budget.spend(calls=1)
        return await tool.call_plain(entry.args)
    charge = partial(around.budget.spend, calls=1)
    call: Callable[..., Any] = partial(tool.call, entry.args, charge=charge)
    if tool.is_hedged:
        call = partial(call, on_hedged=partial(_hedged, around, entry, tool, tell))
    if tell is not None:
        call = partial(
            call, on_retry=partial(tell.retried, entry), on_abandoned=partial(tell.abandoned, entry)
        )
    charge()
    if tool.signature.context_parameter is None and tool.spec.effect != "mutating":
        return await call()
    context = context_of(around, entry)
    with use_budget(context.budget):
        if tool.spec.effect != "mutating":
            return await call(context=context)
        return await _written_down(around, entry, tool, context, call)


def _hedged(
    around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None, second_won: bool, wasted: float
) -> None:
    node = entry.node.id
    around.wasted[node] = around.wasted.get(node, 0.0) + wasted
    if tell is not None:
        tell.hedged(entry, tool.name, second_won, wasted)


async def _written_down(
    around: RunContext, entry: NodeRecord, tool: Tool, context: ToolContext[Any], call: Callable[..., Any]
) -> Any:
    log, key = around.calls, context.idempotency_key
    log.started(key, node=entry.node.id, tool=tool.name, args=entry.args, effect="mutating")
    try:
        value = await call(context=context)
    except UncertainError:
        raise  # stays what it is in the log: started
    except BraidError as error:
        log.failed(key, explain(error))
        raise
    log.finished(key, value)
    return value


def context_of(around: RunContext, entry: NodeRecord) -> ToolContext[Any]:
    """What a call of this node is told about its run. Its budget is a scope of its own."""
    node = entry.node.id
    return ToolContext(
        deps=around.deps,
        run_id=around.run_id,
        node_id=node,
        idempotency_key=f"{around.run_id}:{node}",
        budget=around.budget.child(node),
    )


async def clear(around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None) -> Done | None:
    """Settle what must be settled before a mutating call is made: None lets it be made, `Done` says that it has happened.

    Raises:
        ApprovalError: it was not approved.
        UncertainError: an earlier process began the call, and nobody knows how it ended.
        ToolError: the call has failed in an earlier process.
    """
    known = around.calls.recall(f"{around.run_id}:{entry.node.id}")
    match known:
        case Recorded("done", value):
            return Done(value)
        case Recorded("failed", _, error):
            raise ToolError(error or "the call failed", tool=tool.name)
        case Recorded("started"):
            fate = await find_fate(around, entry, tool, tell)
            return fate if isinstance(fate, Done) else None  # it was approved when it was begun
        case Recorded("not_done"):
            return None
        case _:
            pass
    await _approval(around, entry, tool, tell)
    return None


async def find_fate(around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None) -> Done | NotDone:
    """Find out whether a call that was begun happened: by the tool's `reconcile`, else by asking the person.

    Raises:
        UncertainError: neither can say.
    """
    context = context_of(around, entry)
    try:
        fate = await tool.reconcile(context)
    except UncertainError as unknown:
        fate = await _told_by_person(around, entry, tool, tell, unknown)
    if isinstance(fate, Done):
        around.calls.finished(context.idempotency_key, fate.value)
    else:
        around.calls.not_done(context.idempotency_key)
    return fate


async def _told_by_person(
    around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None, unknown: UncertainError
) -> Done | NotDone:
    if around.ask is None:
        raise unknown
    if tell is not None:
        tell.waits(entry, "outcome")
    try:
        said = await around.ask(
            f"{_shown(tool, entry)} was begun, and how it ended is not known. Did it happen? (yes/no)"
        )
    except NobodyToAskError:
        raise unknown from None
    match said.strip().lower():
        case "yes" | "y":
            return Done()
        case "no" | "n":
            return NotDone()
        case _:
            raise unknown


async def _approval(around: RunContext, entry: NodeRecord, tool: Tool, tell: Teller | None) -> None:
    if around.approve is None:
        raise ApprovalError(
            f"{tool.name} changes things in the world and this run has nobody to approve it; pass `approve`"
        )
    if tell is not None:
        tell.waits(entry, "approval")
    args = own_copies(entry.args)
    request = ToolCallRequest(node=entry.node.id, tool=tool.name, args=args, effect="mutating")
    if not await around.approve(request):
        raise ApprovalError(f"the call of {tool.name} was not approved")


def _shown(tool: Tool, entry: NodeRecord) -> str:
    return f"{tool.name}({', '.join(f'{name}={preview(value, 60)}' for name, value in entry.args.items())})"
