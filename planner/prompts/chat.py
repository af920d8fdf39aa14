"""The prompt of chat models: the run root, the request for a plan, and the request for a repair.

The order decides how much KV a run shares. First comes what all runs share (the language), then what an
agent's runs share (its tools), then the task. Up to there it is the run root. It is byte for byte the same
for the planner, all its repairs, all later rounds, and every think node. What differs comes behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from braid.engine import Message
from braid.executors.tools import ToolSpec
from braid.executors.values import break_markers, preview, quoted, quoted_line
from braid.planner.errors import PlanError
from braid.planner.language import compact_signature
from braid.planner.prompts.examples import full_examples, short_examples
from braid.planner.task import PlanTask

_LANGUAGE = """\
You help to carry out one task. You are asked for one of two things at a time: a plan for the whole task, \
or the result of a single step of it. Do exactly what the last message asks for.

# How a plan is written
A plan is a few lines in a small language that looks like Python. It is never run as Python: each line \
becomes a node of a graph, and nodes whose inputs are there run side by side, while you are still writing. \
So put independent calls on lines of their own, and never wait for anything.

- `name = tool(...)` calls a tool and names its result. Arguments are literals, names, lists, dicts and \
f-strings.
- A name is bound once and never changed. A result's fields are read as `name.field`, its items as `name[0]`.
- `f"{a.value} {a.unit}"` puts results into text: names, fields and constant indexes only, with an optional \
format such as `{a.value:.2f}`.
- `names = [tool(x) for x in xs]` calls a tool for every item of a list; `xs` is a list or the name of one.
- `if condition:`, `elif`, `else:` choose. Conditions compare results (`==`, `<`, `in`, `and`, `or`, \
`not`); they call nothing.
- Arithmetic is written as in Python, `d = a.value - b.value`, or as `calculate(f"{a.value} - {b.value}")`.
- `think("question", given=[a, b])` reasons about results in words and gives `.answer`; use it where no \
tool fits.
- `d = join([a, b], policy="first")` takes of several ways to one result what a policy picks, and cancels \
the rest: `"first"`, `"vote"` (what most agree on), `"confident"` (the surest thought), `"verified"` with \
`verifier="tool"` (the first that the tool accepts), or `"2 of 3"` (a list of the first two).
- `ask("question")` asks the user; only for what nobody else can know.
- `answer(value, ...)` ends the plan with what the user is to read. A name from a branch that \
was not taken is left out.
- `decline("reason")` ends the plan instead where the task cannot be done: no tool knows it, or what was \
needed was not found. Say why, and never answer with an excuse. Every plan ends with one of the two.

There are no functions, loops, methods, slices or imports, and no other Python built-ins. Use only the \
tools that are listed."""

_EXAMPLES = "# Examples\nThe tools of these examples are not yours; they only show the form."

_SHORT = """\
You help with one task: you write a plan for it, or you work out one step of it, as the last message asks.

A plan is a few lines that look like Python. Each line calls a tool and names its result. Fields of a result \
are read as `a.value`. `f"{a.value} {a.unit}"` puts results into text. Numbers may be added, subtracted, \
multiplied and divided. There are no imports, loops or functions. The last line is `answer(...)` with what \
the user wants to know, or `decline("why")` if no tool can tell."""

_ACKNOWLEDGED = "Understood. I will write the plan, or work out a step, when you ask for it."

_REQUEST = (
    "Write the plan for this task now. Reply with the plan only, one statement on each line, "
    "nothing before or after it."
)

_FINAL = "The budget is nearly used up: answer now, with what is known."

FENCE = "```\n"
"""The beginning of a reply that is to be a plan."""

STOP_TURNS = ("\n\nUser:", "\n\nSystem:", "\n\nAssistant:")
"""Strings at which a model without a chat template begins to write the other side's turn."""


def run_root(task: PlanTask) -> list[Message]:
    """The messages that every prompt of a run begins with.

    They end with the assistant's turn. A user message follows.
    They depend on tools, instructions, history, question and the length of the prompt (`PlanTask.prompt`).
    They do not depend on the round.
    """
    if task.prompt == "short":
        listed = [compact_signature(spec) for spec in task.tools]
        parts = [_SHORT, "\n".join(["# Tools", *(listed or ["(none)"])])]
    else:
        listed = [chat_signature(spec) for spec in task.tools]
        parts = [_LANGUAGE, "\n\n".join([_EXAMPLES, *full_examples(task.tools)])]
        parts.append("\n".join(["# Your tools", *(listed or ["(none)"])]))
    if task.instructions.strip():
        parts.append("# What you are told besides\n" + task.instructions.strip())
    shown = short_examples(task.tools) if task.prompt == "short" else []
    examples = (example.removeprefix("Task: ").partition("\n") for example in shown)
    return [
        Message(role="system", content="\n\n".join(parts)),
        *[
            message
            for asked, _, plan in examples  # a small model follows turns rather than rules
            for message in (short_request(asked), Message(role="assistant", content=plan))
        ],
        *[Message(role=each["role"], content=break_markers(each["content"])) for each in task.history],
        Message(
            role="user",
            content=break_markers(f"The task:\n{task.question.strip()}{_earlier_values(task)}"),
        ),
        Message(role="assistant", content=_ACKNOWLEDGED),
    ]


def _earlier_values(task: PlanTask) -> str:
    """The values of earlier turns that the plan may read."""
    given = [(entry.node, preview(entry.value, 80)) for entry in task.graph.given]
    if not given:
        return ""
    lines = [f"- `{node.id}` = {value} ({node.source})" for node, value in given]
    return "\n\nValues of earlier answers, which the plan may read by name:\n" + "\n".join(lines)


def plan_request(task: PlanTask, earlier: str = "") -> Message:
    """The request for this round's plan.

    Args:
        task: The round.
        earlier: The statements of earlier rounds (`earlier_statements`).
    """
    if not earlier and not task.feedback and not task.final:
        if task.prompt == "short":
            return short_request(break_markers(task.question.strip()))
        return Message(role="user", content=_REQUEST)
    parts: list[str] = []
    if earlier:
        parts.append(
            "A plan was carried out before, but the task is not answered yet. "
            "Its statements, and what came of them:\n"
            f"```\n{quoted(earlier.rstrip())}\n```"
        )
    if task.feedback:
        parts.append(f"Why another plan is needed: {quoted_line(task.feedback)}")
    if task.final:
        parts.append(_FINAL)
    parts.append(
        "Write what is still missing, and end with `answer(...)`, or with `decline(...)` if it cannot be "
        "had. "
        "Names that have a result may be read, and are not bound again; "
        "names that came to nothing may be bound anew, in another way. Reply with the plan only."
    )
    return Message(role="user", content="\n\n".join(parts))


def short_request(question: str) -> Message:
    """The request for a plan in a short prompt, and in its examples."""
    return Message(role="user", content=f"Write the plan for this task: {question}")


def repair_request(error: PlanError, accepted: int, *, continues: bool = False) -> Message:
    """The request to write a plan again.

    Args:
        error: The mistake.
        accepted: Number of statements that were accepted.
        continues: Whether the reply is begun already, with the accepted statements if there are any.
    """
    place = f"The plan cannot be used from this place on:\n{break_markers(str(error))}\n\n"
    if continues:
        return Message(
            role="user",
            content=f"{place}The statements before it are accepted and already running. "
            "Go on behind them, with the mistake mended. Reply with the rest of the plan only."
            if accepted
            else f"{place}No statement is accepted yet. Write the whole plan. Reply with the plan only.",
        )
    stand = (
        "The statements before it are accepted and already running: "
        "repeat them exactly as they are, then go on."
        if accepted
        else "No statement is accepted yet."
    )
    return Message(
        role="user",
        content=f"{place}{stand} "
        "Write the whole plan again with the mistake mended. Reply with the plan only.",
    )


def chat_signature(spec: ToolSpec) -> str:
    """A tool for chat models: signature, description, what the arguments mean, and examples."""
    lines = [f"- {compact_signature(replace(spec, description=''))}"]
    if spec.description.strip():
        lines += ["    " + line.strip() for line in spec.description.strip().splitlines() if line.strip()]
    properties: dict[str, dict[str, Any]] = spec.parameters.get("properties", {})
    for name, schema in properties.items():
        if meaning := " ".join(str(schema.get("description", "")).split()):
            lines.append(f"    {name}: {meaning}")
    if spec.effect == "mutating":
        lines.append("    It changes things in the world: call it only when the task asks for that.")
    lines += [f"    Example: {example}" for example in spec.examples]
    return "\n".join(lines)
