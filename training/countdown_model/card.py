"""The card of braid-countdown, written from recorded figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from braid.evals.countdown import Curves, gap_table, table
from braid.training.facts import paragraph


def write_countdown_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `README.md` in `folder`. Sections whose figures are missing are left out."""
    parts = [_INTRODUCTION]
    if "training" in facts:
        parts.append(_making(facts["training"]))
    if "test" in facts:
        parts.append(_measured(facts["test"]))
    parts.append(_LIMITS)
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


_INTRODUCTION = """\
---
library_name: transformers
license: apache-2.0
pipeline_tag: text-generation
---

# braid-countdown

A Qwen3-shaped language model that plays Countdown with four numbers (1 to 50, target 10 to 100), each to be
used once, in three modes that its prompt chooses: an answer at once, a serial search, or a search with
threads that it spawns and joins itself (Adaptive Parallel Reasoning, arXiv 2504.15466). It is a laboratory
animal for test-time scaling, and knows nothing else.

    DIRECT S 54 45 43 7 4        -> ANS 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54
    SERIAL S 54 45 43 7 4        -> 45 - 43 = 2 ; 7 4 2 7 + 4 = 11 ; 2 11 NO ... ANS ...
    SPAWN 3 S 54 45 43 7 4       -> CALL 1 45 - 43 = 2 ; 7 4 2 2 45 + 7 = 52 ; 43 4 52 3 ... END

One word is one token; behind `S` stand the target and the numbers. `evals/countdown/notation.py` has the
whole grammar, and `braid.reasoning.methods.spawn_join` runs the threads. transformers loads the model
unmodified.
"""

_LIMITS = """\
## Limits

- Four numbers, or three in the serial mode; other counts, larger numbers and results over 400 were never
  trained.
- What it claims has to be verified: it believes its own arithmetic, and its threads' answers.
- Sequences over 256 tokens were never trained.
"""


def _making(training: Mapping[str, Any]) -> str:
    recipe, cost = training["recipe"], training["progress"]
    shape, shares = recipe["shape"], recipe["shares"]
    limits = f"--steps {recipe['steps']}" + (f" --minutes {recipe['minutes']:g}" if recipe["minutes"] else "")
    return "\n".join(
        [
            "## How it was made",
            "",
            f"    braid train countdown {limits} --seed {recipe['seed']} --out DIR",
            "",
            paragraph(
                "**Data.** Demonstrations of a symbolic search, generated on the way (`evals/countdown`); 2",
                "% of all problems, by a hash, are kept for validation and 2 % for the test. Every problem",
                f"is shown with an answer at once; {shares['serial']:.0%} with the serial search, cut at 256",
                f"tokens; {shares['child']:.0%} with the search of one thread; {shares['parent']:.0%} with",
                f"the parent that spawns, 0 to 10 threads; and {shares['join']:.0%} with the parent behind",
                "its join. Each is a sequence of its own.",
            ),
            paragraph(
                f"**Model.** {shape['layers']} layers of width {shape['hidden']}, {shape['heads']} heads of",
                f"size {shape['head_size']}, feed-forward {shape['feed_forward']}, tied embeddings:",
                f"{training['parameters']:,} parameters.",
            ),
            paragraph(
                f"**Recipe.** Loss on what follows the header; Muon ({recipe['matrix_rate']:g}) for the",
                f"matrices, AdamW ({recipe['vector_rate']:g}) for embeddings and norms; bfloat16 autocast;",
                f"{recipe['batch_tokens']:,} tokens a step, padding included; {recipe['warmup']:.0%}",
                f"warm-up, linear decay to zero over the last {recipe['decay']:.0%}. The embeddings of the",
                "numbers begin as waves over the number and its logarithm",
                f"(`training/countdown_model/recipe.py`). Seed {recipe['seed']}.",
            ),
            paragraph(
                f"**Cost.** {cost['step']:,} steps, {cost['tokens'] / 1e6:.1f} million tokens,",
                f"{training['flops']:.2g} FLOPs, {cost['seconds'] / 60:.0f} minutes of processor time with",
                f"{training['threads']} thread(s) ({training['machine']}),",
                f"{cost['tokens'] / cost['seconds']:,.0f} tokens a second.",
            ),
        ]
    )


def _measured(facts: Mapping[str, Any]) -> str:
    model, oracle = (
        Curves.model_validate(facts["model"]),
        Curves.model_validate(facts["demonstrator"]),
    )
    return "\n".join(
        [
            "## What it solves",
            "",
            paragraph(
                f"{model.problems} test problems (`braid train measure-countdown FOLDER`), with 95 %",
                "intervals; in brackets the symbolic demonstrator, which is what there is to imitate.",
                "direct@n is pass@n, estimated from 64 samples at temperature 1 with the exact verifier;",
                "the other modes decode greedily, once. Tokens are all that were computed, read or written;",
                "the critical path counts generated tokens; FLOPs are two for each parameter and token, and",
                "causal attention.",
            ),
            table(model, oracle),
            "",
            gap_table(model, oracle),
            "",
        ]
    )
