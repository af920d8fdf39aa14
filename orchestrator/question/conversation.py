"""A run as a turn of a conversation: its question in context, and what it leaves to the next one.

A question that leans on earlier turns is rewritten before anything else sees it. Values of earlier answers
can be read by plans: `earlier1` is the answer of the first turn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from braid.executors import TaskGraph
from braid.orchestrator.events import Rewritten
from braid.orchestrator.outputs import plain_output
from braid.orchestrator.recorder import Recorder
from braid.planner.follow_up import (
    StandaloneQuestion,
    Stated,
    Turn,
    Unresolved,
    bare_question,
    is_small_talk,
    rewrite,
    turn_of,
)

_MAX_STORED: Final = 20_000
"""Most characters of a value that later turns can read by name."""


@dataclass(frozen=True, kw_only=True)
class InContext:
    """A question as one that stands by itself."""

    question: str
    draft: str = ""
    """Its plan, where the conversation tells it."""
    unresolved: str = ""
    """What it leans on that no earlier turn tells. It matters only where nothing else can answer."""
    names_nothing: bool = False
    """Whether it names nothing of its own. Declined, it then leaves the conversation where it was."""


def in_context(question: str, turns: Sequence[Turn], *, compact: bool, recorder: Recorder) -> InContext:
    """The question as one that stands by itself.

    A chat model reads the conversation itself. For it, a follow-up is rewritten only where it names nothing
    new, and what cannot be told is left to it.

    Args:
        question: The question as it was asked.
        turns: The turns before it.
        compact: Whether the planner sees nothing but the question.
        recorder: Emits `Rewritten`. On resume, it tells what the question was rewritten to.
    """
    match rewrite(question, turns):
        case StandaloneQuestion() as found if compact or (found.kind != "entity" and not found.otherwise):
            known = next((e for e in recorder.emitted if isinstance(e, Rewritten)), None)
            if known is None:
                recorder(Rewritten(question=found.question, reason=found.reason))
            elif known.question != found.question:  # an earlier version of Braid took it for something else
                return InContext(question=known.question)
            if not compact:
                return InContext(question=found.question)
            return InContext(
                question=found.question,
                draft=found.plan,
                unresolved=found.otherwise,
                names_nothing=found.names_nothing,
            )
        case Stated(text=text) if compact:
            return InContext(question=question, draft=_saying("answer", text))
        case Unresolved(reason=reason, names_nothing=names_nothing) if compact:
            return InContext(question=question, unresolved=reason, names_nothing=names_nothing)
        case _:
            return InContext(question=bare_question(question) if compact else question)


def give_earlier_values(graph: TaskGraph, turns: Sequence[Turn]) -> None:
    """Bind `earlier1`, `earlier2`, ... to the answers of the turns, for plans to read."""
    if not turns:
        return
    from braid.executors.journal import LostValueError, load_value

    for number, turn in enumerate(turns, 1):
        if turn.stored:
            try:
                graph.give(f"earlier{number}", load_value(turn.stored), source=turn.question)
            except LostValueError:
                continue  # its type is not here any more


def turn_left(
    graph: TaskGraph,
    values: Sequence[Any] | None,
    *,
    asked: str,
    question: str,
    answer: str,
    unit: str,
    plan: str,
) -> Turn | None:
    """A finished run as a turn. None for words that no later one leans on, such as thanks.

    Args:
        graph: The graph of the run.
        values: The values of its answer.
        asked: The question as it was asked.
        question: The question as it was answered.
        answer: The answer as it was read.
        unit: The unit of a number that code answered without a plan.
        plan: The plan, if the run had only one.
    """
    from braid.executors.journal import dump_value

    if is_small_talk(asked):
        return None
    turn = turn_of(graph, question=question, answer=answer, plan=plan)
    output = None if values is None else plain_output(values)
    if turn.value is None and isinstance(output, (int, float)) and not isinstance(output, bool):
        turn = turn.model_copy(update={"value": output, "unit": unit})
    stored = "" if values is None else dump_value(output).text
    return turn.model_copy(update={"stored": stored if len(stored) <= _MAX_STORED else ""})


def _saying(function: str, text: str) -> str:
    return f"{function}({json.dumps(text, ensure_ascii=False)})\n"
