"""What running one node means: call a tool, think with the model, ask the person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import BraidError, Budget, Engine, Message, Prompt
from executors.entries import Entry
from executors.nodes import Scalar, Think
from executors.registry import ToolRegistry
from executors.tools import Effect, OnAbandoned, OnRetry, ToolContext
from executors.values import short_form
from reasoning import Run, Solution, derived_seed, get_method


class ApprovalError(BraidError):
    """A mutating tool was not approved, or nobody is there to approve it."""


class NothingToThinkWithError(BraidError):
    """A think node in a run without an engine."""


class NobodyToAskError(BraidError):
    """An ask node in a run without a person."""


class NodeTimeoutError(BraidError, TimeoutError):
    """A node took longer than the run's `node_timeout`."""


@dataclass(frozen=True, kw_only=True)
class ToolCallRequest:
    """A call of a mutating tool that waits for approval."""

    node: str
    tool: str
    args: Mapping[str, Any]
    effect: Effect


Approve = Callable[[ToolCallRequest], Awaitable[bool]]
"""Says whether a mutating tool may be called."""

AskPerson = Callable[[str], Awaitable[str]]
"""Puts a question to the person who runs the task and returns the answer."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the nodes of one run work with."""

    tools: ToolRegistry
    engine: Engine | None
    root: Sequence[Message]
    budget: Budget
    approve: Approve | None
    ask: AskPerson | None
    deps: Any
    seed: int
    run_id: str


async def call_tool(
    around: Surroundings,
    *,
    node: str,
    tool: str,
    args: Mapping[str, Any],
    on_retry: OnRetry | None,
    on_abandoned: OnAbandoned | None,
) -> Any:
    """One tool call: approved if it is mutating, and paid for with one call of the budget.

    Raises:
        ApprovalError: a mutating tool that was not approved.
        BudgetExceededError: no call is left.
        BraidError: what `Tool.call` raises.
    """
    found = around.tools.get(tool)
    if found.spec.effect == "mutating":
        await _approval(around, ToolCallRequest(node=node, tool=tool, args=args, effect="mutating"))
    context = ToolContext(
        deps=around.deps, run_id=around.run_id, node_id=node, idempotency_key=f"{around.run_id}:{node}"
    )
    with around.budget.reserve(calls=1) as reservation:
        try:
            return await found.call(args, context=context, on_retry=on_retry, on_abandoned=on_abandoned)
        finally:
            reservation.settle(calls=1)  # the call was made, whatever came of it


async def _approval(around: Surroundings, request: ToolCallRequest) -> None:
    if around.approve is None:
        raise ApprovalError(
            f"{request.tool} changes things in the world and this run has nobody to approve it; pass `approve`"
        )
    if not await around.approve(request):
        raise ApprovalError(f"the call of {request.tool} was not approved")


async def ask_person(around: Surroundings, question: Any) -> str:
    """Put a question to the person; raises `NobodyToAskError` where there is none."""
    if around.ask is None:
        raise NobodyToAskError("this run has no person to ask; pass `ask`, or find it out with a tool")
    return await around.ask(short_form(question))


async def think(around: Surroundings, entry: Entry, op: Think) -> Solution:
    """Prefill the run's root and this question, reason by the method, and give the context back.

    The branch seed depends on the node's place in the plan only, so the order of completion never changes a result.

    Raises:
        NothingToThinkWithError: the run has no engine.
        UnknownMethodError: no reasoning method of that name.
        BraidError: what the engine or the method raises.
    """
    if around.engine is None:
        raise NothingToThinkWithError("this run has no engine to think with; pass `engine`")
    options: dict[str, Scalar] = dict(op.options)
    name = op.method or ("self_consistency" if "n" in options else "direct")
    solve = get_method(name)
    question, known = entry.args
    run = Run(engine=around.engine, budget=around.budget, seed=derived_seed(around.seed, *entry.order))
    prompt = think_prompt(around.engine, around.root, short_form(question), known)
    async with await around.engine.prefill(prompt, budget=around.budget) as problem:
        return await solve(run, problem, **options)


def think_prompt(
    engine: Engine, root: Sequence[Message], question: str, known: Sequence[tuple[str, Any]]
) -> Prompt:
    """The run's root, then the question and what is known. Flat text for an engine that knows no chat."""
    lines = [
        f"- {label}: {short_form(value)}" if label else f"- {short_form(value)}" for label, value in known
    ]
    content = "\n".join([question, "", "What is known:", *lines]) if lines else question
    if "chat" in engine.capabilities:
        return [*root, Message(role="user", content=content)]
    return "\n\n".join([*(message["content"] for message in root), content, ""])
