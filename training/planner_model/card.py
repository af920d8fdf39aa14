"""The card of braid-mini, written from recorded figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from braid.training.facts import paragraph
from braid.training.questions import NONCE_SHARE


def write_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `README.md` in `folder` from the figures of a training run and its measurements."""
    (folder / "README.md").write_text(card(facts), encoding="utf-8")


def card(facts: Mapping[str, Any]) -> str:
    """The card's text (Markdown). Sections whose figures are missing are left out."""
    parts = [_INTRODUCTION]
    if "training" in facts:
        parts += [_making(facts["training"])]
    if "spelling" in facts:
        parts += [_spelling(facts["spelling"])]
    if "copying" in facts:
        parts += [_copying(facts["copying"], facts["measured"])]
    if "runs" in facts:
        parts += [_runs(facts["runs"], facts["measured"])]
    parts += [_LIMITS]
    return "\n".join(parts)


_INTRODUCTION = """\
---
library_name: transformers
license: apache-2.0
pipeline_tag: text-generation
---

# braid-mini

A Qwen3-shaped language model of about five million parameters that reads tool signatures and a question, and
writes a plan in Braid's plan language. It is a planner and nothing else: it knows no facts, and it does no
arithmetic. The names, numbers and tools in its plans are copied from the prompt.

    <|tools|>
    search(query: str) -> Fact(title, attribute, value, unit, text): Look up one fact
    calculate(expression: str) -> int | float | bool: Evaluate an arithmetic expression
    <|question|>
    How much taller is K2 than Mont Blanc?
    <|plan|>
    a = search("height of K2")
    b = search("height of Mont Blanc")
    c = calculate(f"{a.value} - {b.value}")
    answer(f"{c} {a.unit}")
    <|end|>

transformers loads it unmodified (`AutoModelForCausalLM`, `AutoTokenizer`). The prompt is written by
`planner/prompts/compact.py`; the prompt ends behind `<|plan|>` and a line end, and decoding is greedy.
"""

_LIMITS = """\
## Limits

- It plans in English what the planning set asks for (`training/questions`): look-ups, arithmetic over what
  they give, comparisons, rankings, ratios and percentages, hypothetical changes, units, conditions, lists
  that a tool gives; and calls of tools that it has never seen, by their descriptions. Another question gets a
  plan of that kind all the same, or is declined.
- What no tool does but a model can (explain, advise, write) becomes a `think`. Braid-mini itself is no model
  to think with: name another one for that.
- It writes no nested calls, no `ask`, and conditions only at the end of a plan.
- Prompts with more than eight tools or 1,200 tokens were not trained.
"""


def _making(training: Mapping[str, Any]) -> str:
    recipe, cost = training["recipe"], training["progress"]
    mixture, shape = recipe["mixture"], recipe["shape"]
    limit = f"--minutes {recipe['minutes']:g}" if recipe["minutes"] else f"--steps {recipe['steps']}"
    invented = 1 - mixture["atlas"] - mixture["errands"]
    before = training.get("before")
    origin = "--from EARLIER " if before else ""
    easy = (
        f"; the first {recipe['easy_pools']} pools of 1,024 sequences keep short ones only"
        if recipe["easy_pools"]
        else ""
    )
    return "\n".join(
        [
            "## How it was made",
            "",
            f"    braid train mini {origin}{limit} --seed {recipe['seed']} --out DIR",
            "",
            *([_before(before)] if before else []),
            paragraph(
                "**Data.** Nothing but generated text. Questions and plans come from the families and",
                "wordings of `training/questions` (training wordings only), typed as people type: with",
                "openings and thanks, slips of the finger, small letters, no question mark;",
                f"{_percent(NONCE_SHARE)} have words that mean nothing in place of some that matter little.",
                f"{_percent(invented)} of the groups of questions are about things with invented names,",
                f"drawn afresh; {_percent(mixture['atlas'])} are about the training part of the built-in",
                f"atlas (four fifths of its titles); {_percent(mixture['errands'])} ask for calls of",
                f"unfamiliar tools; {_percent(mixture['lists'])} have a tool that lists things, with maps",
                f"over its lists. In the groups, {_percent(mixture['thoughts'])} of the questions end in a",
                f"`think`, {_percent(mixture['services'])} are for other tools at hand, and",
                f"{_percent(mixture['rounds'])} are shown in a later round, with results to go on from or a",
                "look-up that failed. The tools of each group are drawn at random: the built-in ones,",
                "others with sensible names, or ones whose names, parameters and fields are invented;",
                "others that are not needed stand beside them, and a ranking tool is missing in",
                f"{_percent(mixture['no_ranker'])}. No question of ParallelQA, nor any other data set, was",
                "used.",
            ),
            paragraph(
                f"**Tokenizer.** Byte-level BPE of {recipe['vocab_size']} tokens, trained on",
                f"{recipe['tokenizer_examples']:,} of these examples. Words, single digits and runs of",
                "punctuation are split before merging, and a space never sticks to a word, so a name has",
                "the same tokens in the question and inside a quoted string. A held-out name that",
                "descriptions of tools had made one token is spelled with smaller ones.",
            ),
            paragraph(
                f"**Model.** {shape['layers']} layers of width {shape['hidden']}, {shape['heads']} query and",
                f"{shape['key_value_heads']} key-value heads of size {shape['head_size']}, feed-forward",
                f"{shape['feed_forward']}, tied embeddings: {training['parameters']:,} parameters.",
            ),
            paragraph(
                "**Recipe.** Three to six examples for the same tools share a sequence and see the tools",
                "and themselves alone. Loss on plan tokens only; Muon (learning rate",
                f"{recipe['matrix_rate']:g}) for the matrices, AdamW ({recipe['vector_rate']:g}) for",
                f"embeddings and norms; bfloat16 autocast; {recipe['batch_tokens']:,} tokens a step;",
                f"{_percent(recipe['warmup'])} warm-up, then linear decay to zero over the last",
                f"{_percent(recipe['decay'])} of the run{easy}. Seed {recipe['seed']}. A run with a time",
                "limit sees as many tokens as the machine manages, so another machine gives another model",
                "of the same kind; with `--steps` in place of `--minutes` a run can be repeated exactly.",
            ),
            paragraph(
                f"**Cost.** {cost['step']:,} steps, {cost['tokens'] / 1e6:.1f} million tokens",
                f"({cost['learned_tokens'] / 1e6:.1f} million of them plan tokens), {training['flops']:.2g}",
                f"FLOPs, {cost['seconds'] / 60:.0f} minutes of the training thread's processor time on",
                f"{_threads(training['threads'])} ({training['machine']}),",
                f"{cost['tokens'] / cost['seconds']:,.0f} tokens a second.",
            ),
        ]
    )


def _before(training: Mapping[str, Any]) -> str:
    steps, tokens, flops = 0, 0, 0.0
    run: Mapping[str, Any] | None = training
    while run:
        steps, tokens, flops = (
            steps + run["progress"]["step"],
            tokens + run["progress"]["tokens"],
            flops + run["flops"],
        )
        run = run.get("before")
    return paragraph(
        f"**Before.** The run went on from a model made in the same way, by {steps:,} steps on",
        f"{tokens / 1e6:.1f} million tokens ({flops:.2g} FLOPs), with questions of other seeds.",
    )


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _spelling(sets: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        f"| {wording} | {r['parsed']:.0f} of {r['plans']:.0f} | {_share(r['names_exact'])} of "
        f"{r['names']:.0f} "
        f"| {_share(r['tools_exact'])} of {r['tools']:.0f} |"
        for wording, r in sets.items()
    ]
    return "\n".join(
        [
            "## The copy experiment",
            "",
            paragraph(
                "Can a model of this size copy names of several tokens and tool names that it has never",
                "seen? Plans were written freely (greedy) for questions whose names, and most of whose",
                "tools, were invented for the question; every name and every called tool in them was then",
                "looked up in the prompt, letter by letter. This counts spelling alone, not whether the",
                "right name stands in the right place.",
            ),
            "| questions | plans that parse | names spelled exactly | tools spelled exactly |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _copying(sets: Mapping[str, Mapping[str, float]], measured: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {_share(r['names'])} | {_share(r['tools'])} | {_share(r['plans'])} ± "
        f"{100 * r['errors']:.1f} |"
        for name, r in sets.items()
    ]
    return "\n".join(
        [
            "## Exact plans",
            "",
            paragraph(
                f"Greedy decoding, {measured['samples']} questions in each row (seed {measured['seed']}); a",
                "name counts as right if the model's first choice is right at each of its tokens when the",
                "plan before it is the reference. The names of the first two rows and most of their tools",
                'were invented for the question; "held-out" wording and entities are those that no training',
                "question has.",
            ),
            "| questions | names right | tool names right | plan exactly the reference |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _runs(runs: Mapping[str, Mapping[str, float]], measured: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {r['n']:.0f} | {_share(r.get('accuracy', 0.0))} ± {100 * r.get('stderr', 0.0):.1f} "
        f"| {_share(r.get('valid at once', 0.0))} |"
        for name, r in runs.items()
    ]
    return "\n".join(
        [
            "## Whole runs",
            "",
            paragraph(
                "Planned by this model, executed with the built-in tools, and the answer compared with the",
                f"true one (`braid train measure FOLDER --runs {measured['runs']} --seed {measured['seed']}",
                "--data-dir DIR`). `planning, heldout` has wording and entities that training never saw.",
                "The handwritten questions were written one by one and not drawn: the latest after the last",
                "change to the question families, the others are development data. `parallelqa` is the",
                "sample of LLMCompiler's ParallelQA in the data folder: development data, whose kinds of",
                "phrasing informed the question families, and whose rows were never trained on.",
            ),
            "| task | questions | answer right | plan valid at once |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
