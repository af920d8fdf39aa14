"""Planning rounds: patches, revisions of a running graph, feedback, and why a run has no answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from braid.engine import Event
from braid.executors import GraphPatch, RunOutcome, TaskGraph
from braid.executors.graph import NodeRecord, op_kind
from braid.executors.nodes import Answer, Const, Map, Node, ToolCall
from braid.executors.scheduler import Replan, RevisionRequest
from braid.executors.values import preview
from braid.orchestrator.events import RoundStarted, StopReason
from braid.orchestrator.outputs import answer_text
from braid.planner import PlanningError, PlanStream, PlanTask, asks_for

_SHOWN = 8
_SHOWN_IN_REASON = 3
HINT_WIDER = "a larger model (--engine) or more tools (--mcp) may answer it"
_OTHER_NAME = "another name or wording may find it, or a tool that knows more (--mcp)"
_OTHER_WORDS = "another wording or a larger model (--engine) may answer it"
_AGAIN = "ask again once the tool works"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a run has no answer."""

    stopped: StopReason | None
    """What stopped it early. None for a decline, which is how the plan ended."""
    reason: str
    """The same in words."""
    hint: str = ""
    """What would answer the question, in one line."""


class Rounds:
    """Counts the rounds of planning of a run, revisions included, against their limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.begun = 0

    @property
    def left(self) -> int:
        return self.limit - self.begun

    def next(self) -> int:
        """Begin a round, and return its number."""
        self.begun += 1
        return self.begun - 1


class PlanReviser:
    """The `Replanner` of a run. A revision is a round of planning whose patches join the running graph."""

    def __init__(
        self,
        start: Callable[[PlanTask], PlanStream],
        rounds: Rounds,
        policy: Replan,
        task: Callable[[int, str], PlanTask],
        emit: Callable[[Event], None],
    ) -> None:
        self._start = start
        self._rounds = rounds
        self._policy = policy
        self._task = task
        self._emit = emit

    def surprise(self, node: Node, value: Any) -> str | None:
        if self._policy.check is None or self._rounds.left <= 0:
            return None
        return self._policy.check(node, value)

    async def revise(self, triggers: Sequence[RevisionRequest]) -> AsyncIterator[GraphPatch]:
        if self._rounds.left <= 0 and all(request.kind != "person" for request in triggers):
            return
        feedback = revision_feedback(triggers)
        number = self._rounds.next()
        self._emit(RoundStarted(round=number, feedback=feedback, revision=True))
        # Statements accepted until it gave up stay. Another round may mend the rest.
        async with aclosing(self._start(self._task(number, feedback))) as plan:
            async for patch in plan:
                yield patch


def revision_feedback(requests: Sequence[RevisionRequest]) -> str:
    """Revision requests as feedback for the planner."""
    labels = {
        "failed": "failed",
        "surprise": "surprising",
        "progress": "so far",
        "person": "the user says",
        "rejected": "not taken from the last plan",
    }
    return "; ".join(f"{labels[request.kind]}: {request.text}" for request in requests)


def why_again(graph: TaskGraph, outcome: RunOutcome, gave_up: PlanningError | None = None) -> str:
    """Feedback for the planner after a run without an answer: what failed, and how the answer ended."""
    parts = [] if gave_up is None else [str(gave_up)]
    failures = [f"{_statement(graph, node)}: {error}" for node, error in outcome.failures[:_SHOWN]]
    if failures:
        parts.append("failed: " + "; ".join(failures))
    answers = [id for id, node in graph.nodes.items() if isinstance(node.op, Answer)]
    if len(graph.nodes) == len(graph.given) and gave_up is None:
        parts.append("the plan has no valid statement")
    elif not answers and gave_up is None:
        parts.append("the plan ended without answer(...)")
    else:
        latest = max((graph.nodes[id].round for id in answers), default=0)
        latest_answers = [
            id for id in answers if graph.nodes[id].round == latest and graph.state(id) != "failed"
        ]
        parts += [_end_of(graph, id, why=not failures) for id in latest_answers[:_SHOWN]]
    if outcome.stopped is not None:
        parts.append(outcome.reason)
    return "; ".join(parts)


def why_failed(graph: TaskGraph, outcome: RunOutcome) -> str:
    """Why a plan that was written by hand has no answer: what failed, or how its answer ended."""
    failures = [f"{_statement(graph, node)}: {error}" for node, error in outcome.failures]
    if len(failures) > _SHOWN_IN_REASON:
        failures[_SHOWN_IN_REASON:] = [f"and {len(failures) - _SHOWN_IN_REASON} more"]
    return "; ".join(failures) or why_again(graph, outcome)


def known_results(graph: TaskGraph) -> list[tuple[str, str]]:
    """Statement and short result of each node that is done, without items of maps and answers."""
    return [
        (_statement(graph, id), preview(graph.result(id)))
        for id, node in graph.nodes.items()
        if graph.state(id) == "done"
        and node.name is not None
        and node.round >= 0
        and not isinstance(node.op, Answer)
    ]


def partial_answer(graph: TaskGraph, outcome: RunOutcome) -> str:
    """What a stopped run found out: the part of its answer that is known, else one line for each result."""
    if outcome.partial:
        return ", ".join(preview(value) for value in outcome.partial)
    return "\n".join(f"{statement} -> {result}" for statement, result in known_results(graph))


def ending_of_decline(question: str, graph: TaskGraph, outcome: RunOutcome, *, own_words: bool) -> Ending:
    """What is behind a plan's `decline`.

    A tool that could not be used is no decline: the run was stopped by it.

    Args:
        question: The question of the run.
        graph: The graph of the run.
        outcome: The outcome of the round that declined.
        own_words: Whether the model has words of its own. The reason of one that has only a fixed sentence is
            taken from the nodes that failed.
    """
    failed = [graph.entry(node) for node, _ in outcome.failures]
    outages = [entry for entry in failed if entry.failure == "outage"]
    missing = [entry for entry in failed if entry.failure == "missing"]
    if outages:
        return Ending(stopped="tools", reason=_errors(outages), hint=_AGAIN)
    if own_words:
        return Ending(
            stopped=None,
            reason=answer_text(outcome.answer or ()),
            hint=_OTHER_NAME if missing else HINT_WIDER,
        )
    # What a small model makes of its own prompts concerns nobody: it has no room for them.
    failed = [entry for entry in failed if isinstance(entry.node.op, (ToolCall, Map))]
    if failed and not all(_asks(question, entry) for entry in failed):
        return Ending(stopped=None, reason="I do not know what to look up for that", hint=_OTHER_WORDS)
    if failed:
        return Ending(stopped=None, reason=_errors(failed), hint=_OTHER_NAME if missing else _OTHER_WORDS)
    looked_up = any(not isinstance(node.op, Answer) for node in graph.nodes.values())
    reason = "what was found does not answer this" if looked_up else "there is no tool for this"
    return Ending(stopped=None, reason=reason, hint=HINT_WIDER)


def _asks(question: str, entry: NodeRecord) -> bool:
    """Whether a look-up that failed is for what the question asks for."""
    op = entry.node.op
    if not isinstance(op, ToolCall):
        return True
    given = [value.value for _, value in op.args if isinstance(value, Const)]
    return all(asks_for(question, text) for text in given if isinstance(text, str))


def _end_of(graph: TaskGraph, id: str, *, why: bool) -> str:
    reason = graph.error(id) if why else None
    return f"{_statement(graph, id)} was {graph.state(id)}" + (f" ({reason})" if reason else "")


def _statement(graph: TaskGraph, node: str) -> str:
    return " ".join(graph.nodes[node].source.split()) or node if node in graph.nodes else node


def _errors(failed: Iterable[NodeRecord]) -> str:
    """What the nodes say. A tool that found nothing speaks for itself, else the tool is named."""
    texts: list[str] = []
    for entry in failed:
        text, tool = " ".join((entry.error or "").split()), entry.tool or op_kind(entry.node)
        if entry.failure != "missing":
            text = f"{tool} failed: {text.removeprefix(f'{tool}: ')}"
        texts.append(text)
    return "; ".join(list(dict.fromkeys(texts))[:_SHOWN_IN_REASON])
