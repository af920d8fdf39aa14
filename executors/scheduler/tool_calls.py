"""One tool call of a run: its approval, what it costs, and what is written down about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

from braid.engine import BraidError, BudgetExceededError
from braid.engine.scope import use_budget
from braid.executors.graph import NodeRecord
from braid.executors.scheduler.context import (
    ApprovalError,
    Approve,
    GraphContext,
    NobodyToAskError,
    ToolCallRequest,
    awaited,
    shown_call,
)
from braid.executors.tools import (
    Done,
    NotDone,
    Recorded,
    Tool,
    ToolContext,
    ToolError,
    UncertainError,
    Unfinished,
    result_key,
)
from braid.executors.values import explain, own_copies

_calling: ContextVar[str | None] = ContextVar("braid_calling_node", default=None)
enter_node = _calling.set


def calling_node() -> str | None:
    """The id of the node whose tool call this code runs in. None outside of a tool."""
    return _calling.get()


async def call_tool(
    context: GraphContext, entry: NodeRecord, tool: str, args: Mapping[str, Any] | None = None
) -> Any:
    """Call `tool`, or take the result of an equal call of a pure tool.

    Each attempt is paid for with one call of the budget. A mutating call must have been approved
    (`approve_call`). That it begins is written down before it does, and so is how it ended.

    Args:
        context: what the run works with.
        entry: the node that makes the call.
        tool: the tool's name.
        args: the arguments. None takes those of the node.

    Raises:
        BudgetExceededError: no call is left.
        UncertainError: nobody knows whether a mutating call happened.
        ToolError: the run was resumed, and an argument held a secret.
        BraidError: what `Tool.call` raises.
    """
    args = cast("Mapping[str, Any]", entry.args) if args is None else args
    if context.secrets is not None:
        if context.secrets.lost_in(args):
            raise ToolError(
                f"{tool} is not called: an argument held a secret, which no journal keeps; ask anew",
                tool=tool,
            )
        context.secrets.learn(tool, args)
    found = context.tools.get(tool)
    make = partial(_make, context, entry, found, args)
    if context.memo is None:
        return await make()
    on_reused = partial(context.emitter.reused, entry, tool) if context.emitter.listening else None
    return await context.memo.call(found, args, make, on_reused=on_reused)


async def _make(context: GraphContext, entry: NodeRecord, tool: Tool, args: Mapping[str, Any]) -> Any:
    if tool.is_plain:
        context.budget.spend(calls=1)
        return await tool.call_plain(args)
    charge = partial(context.budget.spend, calls=1)
    call: Callable[..., Any] = partial(tool.call, args, charge=charge)
    if tool.is_hedged:
        call = partial(call, on_hedged=partial(_hedged, context, entry, tool))
    emitter = context.emitter
    if emitter.listening:
        call = partial(
            call, on_retry=partial(emitter.retried, entry), on_abandoned=partial(emitter.abandoned, entry)
        )
    charge()
    if tool.signature.context_parameter is None and tool.spec.effect != "mutating":
        return await call()
    call_context = tool_context(context, entry)
    with use_budget(call_context.budget):
        if tool.spec.effect != "mutating":
            return await call(context=call_context)
        return await _call_recorded(context, entry, tool, call_context, call)


def _hedged(context: GraphContext, entry: NodeRecord, tool: Tool, second_won: bool, wasted: float) -> None:
    entry.wasted += wasted
    context.emitter.hedged(entry, tool.name, second_won, wasted)


async def _call_recorded(
    context: GraphContext,
    entry: NodeRecord,
    tool: Tool,
    call_context: ToolContext[Any],
    call: Callable[..., Any],
) -> Any:
    """Make a mutating call. The log knows that it begins and how it ended."""
    log, key = context.calls, call_context.idempotency_key
    log.started(key, node=entry.node.id, tool=tool.name, args=entry.args, effect="mutating")
    try:
        value = await call(context=call_context)
    except BraidError as error:
        cut_off = isinstance(error, BudgetExceededError) and tool.options.reconcile is not None
        if cut_off or isinstance(error, UncertainError):
            raise  # stays what it is in the log: started
        log.failed(key, explain(error))
        raise
    log.finished(key, value)
    return value


def tool_context(context: GraphContext, entry: NodeRecord) -> ToolContext[Any]:
    """The context of a tool call of this node. Its budget is a scope of its own."""
    node = entry.node.id
    return ToolContext(
        deps=context.deps,
        run_id=context.run_id,
        node_id=node,
        idempotency_key=call_key(context, entry),
        budget=context.budget.child(node),
    )


def call_key(context: GraphContext, entry: NodeRecord) -> str:
    """The idempotency key of the call of this node."""
    return f"{context.run_id}:{entry.node.id}"


def may_have_happened(context: GraphContext, entry: NodeRecord) -> bool:
    """Whether the mutating call of this node was begun, and nobody has found out that it did nothing."""
    if not context.is_mutating(entry):
        return False
    try:
        known = context.calls.recall(call_key(context, entry))
    except BraidError:  # it is done, and its result is lost
        return True
    return known is not None and known.state in ("started", "done")


async def approve_call(context: GraphContext, entry: NodeRecord, tool: Tool) -> Done | None:
    """Get a mutating call approved. None lets it be made, `Done` says that it has happened.

    Raises:
        ApprovalError: it was not approved.
        UncertainError: an earlier process began the call, and nobody knows how it ended.
        ToolError: the call has failed in an earlier process.
    """
    known = context.calls.recall(call_key(context, entry))
    match known:
        case Recorded("done", value):
            return Done(value)
        case Recorded("failed", _, error):
            raise ToolError(error or "the call failed", tool=tool.name)
        case Recorded("started"):
            outcome = await resolve_outcome(context, entry, tool)
            return outcome if isinstance(outcome, Done) else None  # it was approved when it was begun
        case Recorded("not_done"):
            return None
        case _:
            pass
    await _ask_approval(context, entry, tool)
    return None


async def resolve_outcome(context: GraphContext, entry: NodeRecord, tool: Tool) -> Done | NotDone:
    """Find out whether a call that was begun happened: by the tool's `reconcile`, else by asking the person.

    Raises:
        UncertainError: neither can say.
    """
    call_context = tool_context(context, entry)
    try:
        outcome = await tool.reconcile(call_context)
    except UncertainError as unknown:
        outcome = await _ask_outcome(context, entry, tool, unknown)
    if isinstance(outcome, Done):
        context.calls.finished(call_context.idempotency_key, outcome.value)
    elif not isinstance(outcome, Unfinished):
        context.calls.not_done(call_context.idempotency_key)
    return outcome


async def _ask_outcome(
    context: GraphContext, entry: NodeRecord, tool: Tool, unknown: UncertainError
) -> Done | NotDone:
    if context.ask is None:
        raise unknown
    context.emitter.waits(entry, "outcome")
    try:
        reply = await awaited(
            context.ask(
                f"{_shown(tool, entry)} was begun, and how it ended is not known. Did it happen? (yes/no)"
            )
        )
    except NobodyToAskError:
        raise unknown from None
    match reply.strip().lower():
        case "yes" | "y":
            return Done()
        case "no" | "n":
            return NotDone()
        case _:
            raise unknown


async def _ask_approval(context: GraphContext, entry: NodeRecord, tool: Tool) -> None:
    if context.approve is None:
        raise ApprovalError(
            f"{tool.name} changes things in the world and this run has nobody to approve it; pass `approve`, "
            "or run it at a terminal or with --yes"
        )
    key = result_key(tool, entry.args)
    async with context.asking[key] if key is not None else nullcontext():
        if key in context.refused:
            raise ApprovalError(
                f"the call of {tool.name} was refused: an equal call was not approved before in this run"
            )
        context.emitter.waits(entry, "approval")
        args = own_copies(entry.args)
        request = ToolCallRequest(node=entry.node.id, tool=tool.name, args=args, effect="mutating")
        if not await _reply(context.approve, request):
            if key is not None:
                context.refused.add(key)
                context.emitter.refused(entry, tool.name, key)
            raise ApprovalError(f"the call of {tool.name} was not approved")


async def _reply(approve: Approve, request: ToolCallRequest) -> bool:
    """What `approve` says.

    Raises:
        ApprovalError: It raised, or said something else than True or False.
    """
    try:
        reply: Any = await awaited(approve(request))
    except BraidError:
        raise
    except Exception as error:
        why = f"approve raised {type(error).__name__}: {error}"
        raise ApprovalError(f"the call of {request.tool} was not approved: {why}") from error
    if not isinstance(reply, bool):
        why = f"approve must return True or False, got {reply!r:.80}"
        raise ApprovalError(f"the call of {request.tool} was not approved: {why}")
    return reply


def _shown(tool: Tool, entry: NodeRecord) -> str:
    return shown_call(tool.name, entry.args)
