"""Think nodes and ask nodes: put a question to the model, or to the person."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from braid.engine import Budget, Engine, Message, Prompt, Usage
from braid.engine.scope import use_budget, use_priority
from braid.engine.system import first_error
from braid.executors.events import ThinkText
from braid.executors.graph import NodeRecord
from braid.executors.joins import check_call, score_of
from braid.executors.nodes import Const, Think
from braid.executors.scheduler.context import (
    GraphContext,
    NobodyToAskError,
    NothingToThinkWithError,
    awaited,
)
from braid.executors.scheduler.tool_calls import call_tool
from braid.executors.tools import Tool, UsageResult
from braid.executors.values import break_markers, short_form
from braid.reasoning import (
    MethodRun,
    Solution,
    default_method,
    derived_seed,
    fit_to_budget,
    get_method,
    method_spec,
)


async def ask_person(context: GraphContext, question: Any) -> str:
    """Put a question to the person. Raises `NobodyToAskError` where there is none."""
    if context.ask is None:
        raise NobodyToAskError("this run has no person to ask; pass `ask`, or find it out with a tool")
    return await awaited(context.ask(short_form(question)))


async def think(context: GraphContext, entry: NodeRecord, op: Think, *, priority: float = 0.0) -> Solution:
    """Prefill the run's root and this question, reason by the method, and give the context back.

    The node has a budget scope of its own. With a soft limit reached it does with less
    (`braid.reasoning.fit_to_budget`). The seed of its branches depends on the node's place in the plan only,
    so the order of completion never changes a result.

    Args:
        context: what the run works with.
        entry: the node, with its evaluated question and what is known as `args`.
        op: its operation.
        priority: what the engine goes by when it has more requests than it can serve at once.

    Raises:
        NothingToThinkWithError: the run has no engine.
        UnknownMethodError: no reasoning method of that name.
        BraidError: what the engine or the method raises, also for an adapter that the engine does not have.
    """
    if context.engine is None:
        raise NothingToThinkWithError("this run has no engine to think with; pass `engine`")
    options: dict[str, Any] = dict(op.options)
    verifier, adapter = options.pop("verifier", None), options.pop("adapter", None)
    engine = context.engine if adapter is None else context.engine.with_adapter(str(adapter))
    name = op.method or default_method(options)
    asked = method_spec(name).options  # an unknown name is an error, whatever the budget allows
    options = {**{key: value for key, value in context.sampling.items() if key in asked}, **options}
    budget = context.budget.child(entry.node.id)
    name, options, left_out = fit_to_budget(name, options, budget)
    solve = get_method(name)
    question, known = entry.args
    question = short_form(question)
    run = MethodRun(engine=engine, budget=budget, seed=derived_seed(context.seed, *entry.order))
    if context.think_text:
        run.on_text = lambda text: context.emitter.emit(ThinkText(node=entry.node.id, text=text))
    if verifier is not None or (context.verifier is not None and method_spec(name).verifies):
        tool = context.verifier_of(None if verifier is None else str(verifier))
        run.verifier = _ToolVerifier(context, entry, tool, question)
    prompt = think_prompt(engine, context.root, question, known)
    read = 0
    try:
        with use_priority(priority), use_budget(budget):
            async with await engine.prefill(prompt, budget=budget) as problem:
                read = problem.usage.prompt_tokens
                solution = await solve(run, problem, **options)
    except asyncio.CancelledError:
        entry.usage = _discarded(budget, read)
        raise
    return replace(solution, degraded=(*left_out, *solution.degraded)) if left_out else solution


def _discarded(budget: Budget, read: int) -> Usage:
    """What a cancelled thought generated for nothing, its prompt of `read` tokens aside."""
    generated = max(0, int(budget.spent.get("tokens", 0)) - read)
    calls = int(budget.spent.get("calls", 0))
    return Usage(generated_tokens=generated, discarded_tokens=generated, calls=calls)


@dataclass(frozen=True)
class _ToolVerifier:
    """A tool as the verifier of a thought's samples. Each is a call of the run's budget."""

    context: GraphContext
    entry: NodeRecord
    tool: Tool
    question: str

    async def score(self, question: str, candidates: Sequence[str]) -> list[float]:
        """One score for each candidate. Equal ones are checked once, and others side by side."""
        try:
            async with asyncio.TaskGroup() as group:
                checks = {each: group.create_task(self._check(each)) for each in dict.fromkeys(candidates)}
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        return [checks[each].result() for each in candidates]

    async def _check(self, answer: str) -> float:
        call = check_call(self.tool, self.question, Const(answer))
        args = {name: value.value for name, value in call.args if isinstance(value, Const)}
        verdict = await call_tool(self.context, self.entry, self.tool.name, args)
        return score_of(verdict.value if isinstance(verdict, UsageResult) else verdict, self.tool.name)


def think_prompt(
    engine: Engine, root: Sequence[Message], question: str, known: Sequence[tuple[str, Any]]
) -> Prompt:
    """The run's root, then the question and what is known. Flat text for an engine that knows no chat."""
    lines = [f"- {label}: {_data(value)}" if label else f"- {_data(value)}" for label, value in known]
    question = break_markers(question)
    content = "\n".join([question, "", "What is known:", *lines]) if lines else question
    if "chat" in engine.capabilities:
        return [*root, Message(role="user", content=content)]
    return "\n\n".join([*(message["content"] for message in root), content, ""])


def _data(value: Any) -> str:
    """A value in a list of values. Its further lines are indented. None reads as an entry or a turn."""
    return break_markers(short_form(value)).replace("\n", "\n  ")
