"""The card of braid-planner, written from recorded figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from braid.training.facts import paragraph


def write_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `README.md` in `folder` from the figures of a training run."""
    (folder / "README.md").write_text(card(facts), encoding="utf-8")


def card(facts: Mapping[str, Any]) -> str:
    """The card's text (Markdown)."""
    return "\n".join([_INTRODUCTION, *_making(facts["training"]), _LIMITS])


_INTRODUCTION = """\
---
library_name: peft
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
pipeline_tag: text-generation
---

# braid-planner

A LoRA adapter that lets SmolLM2-135M-Instruct read tool signatures and a question, and write a plan in
Braid's plan language. It is a planner and nothing else: every fact is looked up, and arithmetic is left to a
tool.

    <|im_start|>system
    search(query: str) -> Fact(title, attribute, value, unit, text): Look up one fact
    calculate(expression: str) -> int | float | bool: Evaluate an arithmetic expression<|im_end|>
    <|im_start|>user
    How much taller is K2 than Mont Blanc?<|im_end|>
    <|im_start|>assistant
    a = search("height of K2")
    b = search("height of Mont Blanc")
    c = calculate(f"{a.value} - {b.value}")
    answer(f"{c} {a.unit}")
    <|im_end|>

PEFT loads it unmodified. Braid keeps it apart from its base: plans are written with the adapter, thoughts and
chat without it, by one copy of the weights. The prompt is written by `planner/prompts/compact.py`.
"""

_LIMITS = """\
## Limits

- It plans in English what `training/questions` asks for. Another question gets a plan of that kind all the
  same, or is declined.
- What no tool does but a model can (explain, advise, write) becomes a `think`. The base answers those, and it
  is a model of 135 million parameters.
- It writes no nested calls, no `ask` and no joins, and conditions only at the end of a plan.
- Prompts with more than eight tools or 1,500 tokens were not trained.
"""


def _making(training: Mapping[str, Any]) -> list[str]:
    """How the adapter was made, the last run first."""
    parts = ["## How it was made\n"]
    run: Mapping[str, Any] | None = training
    while run is not None:
        recipe, cost = run["recipe"], run["progress"]
        before = run.get("before")
        parts.append(
            paragraph(
                f"`braid train planner --seed {recipe['seed']} --tokens {recipe['tokens']}`,",
                "from the adapter of the run below:" if before else "from a fresh adapter:",
                f"rank {recipe['rank']}, alpha {recipe['alpha']:g}, AdamW,",
                f"peak learning rate {recipe['rate']:g}; {cost['step']:,} steps, {cost['tokens']:,} tokens",
                f"({cost['learned_tokens']:,} of them of plans),",
                f"{run['flops']:.1e} FLOPs in {cost['seconds'] / 60:.0f} minutes of processor time",
                f"on {run['threads']} thread{'s' if run['threads'] > 1 else ''} of an {run['machine']}.",
                "The base was frozen, in float32.",
            )
        )
        run = before
    return parts
