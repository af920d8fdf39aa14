"""The review of a plan: what is shown to a person, and what becomes of the plan then.

A plan that is reviewed is written to its end before anything of it runs.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from braid.engine import BraidError, Event
from braid.executors import GraphPatch, ToolRegistry
from braid.executors.graph import op_kind, tool_of
from braid.executors.nodes import Answer, Ask, Join, ListOf, Map, Node, Think, ToolCall
from braid.executors.tools import Effect
from braid.planner import InvalidPlanError, PlanError, PlanningError, PlanStream, PlanTask, check_plan
from braid.planner.language import render_guards
from braid.planner.prompts import written_plan


class ReviewError(BraidError, TypeError):
    """The function that reviews plans returned something that is no decision."""


class PlanRejectedError(PlanningError):
    """A person rejected the plan."""


@dataclass(frozen=True, kw_only=True)
class ReviewedStatement:
    """A statement of a plan that waits for a decision."""

    source: str
    """Its text."""
    kind: str
    """`tool`, `think`, `ask`, `map` or `answer`."""
    tool: str | None
    """The tool that it calls."""
    effect: Effect | None
    """The effect of that tool."""
    condition: str
    """The conditions under which it runs. Empty where it runs in any case."""
    calls: int | None
    """How many calls of tools and thoughts it stands for. None where only the run will tell."""


@dataclass(frozen=True, kw_only=True)
class PlanReview:
    """A plan that waits for the decision of a person."""

    question: str
    round: int
    """The round of planning, from 0. Later ones go on from results."""
    feedback: str
    """Why there is another round. Empty in the first one."""
    plan: str
    """Its text."""
    statements: tuple[ReviewedStatement, ...]
    errors: tuple[PlanError, ...] = ()
    """The mistakes of the text that the person wrote last. It is to be edited again."""

    @property
    def calls(self) -> int:
        """How many calls are to be expected. Maps over lists that are not known yet are not counted."""
        return sum(statement.calls or 0 for statement in self.statements)

    @property
    def mutating(self) -> tuple[ReviewedStatement, ...]:
        """The statements that change something in the world."""
        return tuple(statement for statement in self.statements if statement.effect == "mutating")


@dataclass(frozen=True)
class ApprovePlan:
    """Run the plan as it is."""


@dataclass(frozen=True)
class RejectPlan:
    """Do not run the plan. The planner reads the reason, and writes another one."""

    reason: str = ""


@dataclass(frozen=True)
class EditPlan:
    """Run this text in place of the plan. It is checked first, and comes back where it has mistakes."""

    plan: str


Decision: TypeAlias = ApprovePlan | RejectPlan | EditPlan
Review: TypeAlias = Callable[[PlanReview], Decision | bool | Awaitable[Decision | bool]]
"""Decides about a plan. True approves it, and False rejects it. It may be a coroutine function."""


class PlanReviewed(Event):
    """A person has decided about a plan."""

    kind: Literal["plan.reviewed"] = "plan.reviewed"
    round: int
    decision: Literal["approved", "rejected", "edited"]
    plan: str
    """The plan that is run, or that was rejected."""
    reason: str = ""
    """Why it was rejected."""


def reviewed(
    plan: PlanStream,
    task: PlanTask,
    review: Review,
    *,
    tools: ToolRegistry,
    emit: Callable[[Event], None],
) -> PlanStream:
    """`plan` with nothing of it before a person has approved it. It then comes in one patch.

    A plan that is rejected ends the stream with `PlanRejectedError`. Reading the stream raises `ReviewError`
    where `review` returns something else than a decision.
    """
    return PlanStream(_decided(plan, task, review, tools, emit))


async def _decided(
    plan: PlanStream, task: PlanTask, review: Review, tools: ToolRegistry, emit: Callable[[Event], None]
) -> AsyncGenerator[GraphPatch]:
    try:
        nodes = [node async for patch in plan for node in patch.add]
    finally:
        await plan.aclose()
    if nodes:
        nodes = await _approved(nodes, task, review, tools, emit)
        yield GraphPatch(base_version=task.graph.version, add=tuple(nodes), reason="the plan was approved")
    if plan.error is not None:
        raise plan.error


async def _approved(
    nodes: list[Node], task: PlanTask, review: Review, tools: ToolRegistry, emit: Callable[[Event], None]
) -> list[Node]:
    """The nodes that are to be run.

    Raises:
        PlanRejectedError: The plan was rejected.
    """
    text = written_plan(nodes)
    shown = PlanReview(
        question=task.question,
        round=task.round,
        feedback=task.feedback,
        plan=text,
        statements=_statements(nodes, tools),
    )
    while True:
        given = review(shown)
        given = await given if inspect.isawaitable(given) else given
        match given:
            case ApprovePlan() | True if shown.errors:
                continue  # a text with mistakes cannot be run, so it is shown again
            case ApprovePlan() | True:
                emit(PlanReviewed(round=task.round, decision="approved", plan=text))
                return nodes
            case RejectPlan() | False:
                reason = given.reason if isinstance(given, RejectPlan) else ""
                emit(PlanReviewed(round=task.round, decision="rejected", plan=text, reason=reason))
                raise rejection(text, reason)
            case EditPlan(written):
                try:
                    nodes = check_plan(written, task.tools, task.graph, round=task.round)
                except InvalidPlanError as error:
                    shown = replace(shown, plan=written, errors=error.errors)
                    continue
                emit(PlanReviewed(round=task.round, decision="edited", plan=written))
                return nodes
            case _:
                raise ReviewError(
                    "review must return ApprovePlan(), RejectPlan(reason), EditPlan(text), True or False, "
                    f"got {given!r:.80}"
                )


def no_plan(error: PlanRejectedError) -> PlanStream:
    """The stream of a round whose plan was rejected."""

    async def nothing() -> AsyncGenerator[GraphPatch]:
        raise error
        yield

    return PlanStream(nothing())


def rejection(plan: str, reason: str) -> PlanRejectedError:
    """What ends the round of a plan that was rejected."""
    why = reason.strip() or "no reason given"
    shown = "; ".join(line.strip() for line in plan.splitlines() if line.strip())
    return PlanRejectedError(f"the person rejected the plan `{shown}`: {why}", errors=(), text=plan)


def _statements(nodes: Sequence[Node], tools: ToolRegistry) -> tuple[ReviewedStatement, ...]:
    return tuple(
        ReviewedStatement(
            source=node.source,
            kind=op_kind(node),
            tool=(tool := tool_of(node)),
            effect=tools.get(tool).spec.effect if tool is not None and tool in tools else None,
            condition=render_guards(node.guards),
            calls=_calls(node),
        )
        for node in nodes
    )


def _calls(node: Node) -> int | None:
    match node.op:
        case Map(_, ListOf(items), _, _):
            return len(items)
        case Map():
            return None
        case ToolCall() | Think():
            return 1
        case Join(parts, "verified"):
            return len(parts) if isinstance(parts, tuple) else None
        case Ask() | Answer() | Join():
            return 0
        case _:
            assert_never(node.op)
