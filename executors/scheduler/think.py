"""Think nodes and ask nodes: put a question to the model, or to the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from typing import Any

from braid.engine import Engine, Message, Prompt
from braid.engine.scope import use_budget, use_priority
from braid.executors.events import ThinkText
from braid.executors.graph import NodeRecord
from braid.executors.nodes import Think
from braid.executors.scheduler.context import (
    GraphContext,
    NobodyToAskError,
    NothingToThinkWithError,
    awaited,
)
from braid.executors.values import break_markers, short_form
from braid.reasoning import MethodRun, Solution, derived_seed, fit_to_budget, get_method


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
        BraidError: what the engine or the method raises.
    """
    if context.engine is None:
        raise NothingToThinkWithError("this run has no engine to think with; pass `engine`")
    options: dict[str, Any] = dict(op.options)
    name = op.method or ("self_consistency" if "n" in options else "direct")
    asked = signature(get_method(name)).parameters  # an unknown name is an error, whatever the budget allows
    options = {**{key: value for key, value in context.sampling.items() if key in asked}, **options}
    budget = context.budget.child(entry.node.id)
    name, options, left_out = fit_to_budget(name, options, budget)
    solve = get_method(name)
    question, known = entry.args
    run = MethodRun(engine=context.engine, budget=budget, seed=derived_seed(context.seed, *entry.order))
    if context.think_text:
        run.on_text = lambda text: context.emitter.emit(ThinkText(node=entry.node.id, text=text))
    prompt = think_prompt(context.engine, context.root, short_form(question), known)
    with use_priority(priority), use_budget(budget):
        async with await context.engine.prefill(prompt, budget=budget) as problem:
            solution = await solve(run, problem, **options)
    return replace(solution, degraded=(*left_out, *solution.degraded)) if left_out else solution


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
