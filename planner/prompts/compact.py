"""The compact prompt, for the embedded planner model.

It has the tools' signatures, the question, and the place where the plan begins. The form is fixed, because
braid-mini is trained on exactly this text (see `training/`):

    <|tools|>
    search(query: str) -> Fact(title, value, unit, text): look up one fact
    <|question|>
    How tall is K2?
    <|plan|>

The model goes on from there and ends the plan with `STOP`. In a later round, the statements that are done
stand behind the plan marker. For a model whose prompt style is `compact-results`, each stands with its
result, and those that failed stand as comments with the reason:

    <|plan|>
    a = search("height of K2")  # 8611 m
    # b = search("height of K99")  # failed: there is no K99 in the atlas
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from braid.executors.nodes import Answer, Const, Node
from braid.executors.tools import ToolSpec
from braid.planner.language import compact_signature, escape_markers, single_line

TOOLS = "<|tools|>"
QUESTION = "<|question|>"
PLAN = "<|plan|>"
STOP = "<|end|>"
"""The token that ends a plan. It is the end-of-sequence token of the embedded model."""


@dataclass(frozen=True)
class Markers:
    """The texts between the parts of a compact prompt. A model knows the form that it was trained on."""

    tools: str
    question: str
    plan: str
    stop: str
    """The token that ends a plan."""


OWN = Markers(TOOLS, f"\n{QUESTION}\n", f"\n{PLAN}\n", STOP)
"""Of braid-mini, whose tokenizer was made for them."""
TURNS = Markers(
    "<|im_start|>system",
    "<|im_end|>\n<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|>",
)
"""Of chat models with ChatML turns that were taught to plan: tools, question and plan are a turn each."""

MAX_TOOLS = 8
"""How many tools reach the prompt. Training never shows the model more."""

_REFUSAL = re.compile(r"I have no tool for that\.|I could not find the .+ of .+\.")
"""The two sentences with which the embedded model gives up (`REFUSAL` in `grammar.py`)."""


def read_refusal(node: Node) -> Node:
    """`node`, as a decline where the embedded model answers with one of its refusals."""
    match node.op:
        case Answer((Const(str() as text),), False) if _REFUSAL.fullmatch(text):
            return replace(node, op=replace(node.op, declines=True))
        case _:
            return node


def compact_prompt(
    question: str, tools: Sequence[ToolSpec], *, plan_so_far: str = "", markers: Markers = OWN
) -> str:
    """The text that the embedded model continues.

    Args:
        question: The task. Line breaks become spaces, and look-alikes of markers are broken up.
        tools: What the plan may call. Of more than `MAX_TOOLS`, those are kept whose name and description
            share most words with the question. The given order stays.
        plan_so_far: The statements of earlier rounds (`finished_statements`), and the valid ones of a plan
            that is being repaired. The model goes on behind them. A missing line end is added, so that no
            statement is continued in mid-line.
        markers: What stands between the parts.
    """
    signatures = "".join(f"\n{compact_signature(spec)}" for spec in _most_relevant(question, tools))
    if plan_so_far and not plan_so_far.endswith("\n"):
        plan_so_far += "\n"
    begin = f"{markers.tools}{signatures}{markers.question}{single_line(question)}{markers.plan}"
    return begin + escape_markers(plan_so_far)


def _most_relevant(question: str, tools: Sequence[ToolSpec]) -> Sequence[ToolSpec]:
    if len(tools) <= MAX_TOOLS:
        return tools
    asked = _words(question)
    ranked = sorted(tools, key=lambda spec: -len(asked & _words(f"{spec.name} {spec.description}")))
    kept = {spec.name for spec in ranked[:MAX_TOOLS]}
    return [spec for spec in tools if spec.name in kept]


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"[\W_]+", text.lower()) if len(word) > 3}
