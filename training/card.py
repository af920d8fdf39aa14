"""The model card: what braid-mini is, how it was made, what it cost and what it gets right, from recorded figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FACTS = "training.json"
"""The file beside the weights that holds recipe, cost and measurements; the card is written from it."""


def write_card(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `README.md` in `folder` from the figures of a training run and its measurements."""
    (folder / "README.md").write_text(card(facts), encoding="utf-8")


def card(facts: Mapping[str, Any]) -> str:
    """The card's text (Markdown). Sections whose figures are missing are left out."""
    parts = [_INTRODUCTION]
    if "training" in facts:
        parts += [_making(facts["training"])]
    if "copying" in facts:
        parts += [_copying(facts["copying"], facts["measured"])]
    if "runs" in facts:
        parts += [_runs(facts["runs"], facts["measured"])]
    parts += [_LIMITS]
    return "\n".join(parts)


def machine() -> str:
    """The class of this machine, as far as the system tells: processor name, matrix extensions, cores."""
    name, flags = platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        fields = dict(
            (part.strip() for part in line.split(":", 1))
            for line in info.read_text(encoding="utf-8").splitlines()
            if ":" in line
        )
        name = fields.get("model name", name)
        flags = ", AMX" if "amx_bf16" in fields.get("flags", "") else ""
    return f"{name}{flags}"


_INTRODUCTION = """\
---
library_name: transformers
license: apache-2.0
pipeline_tag: text-generation
---

# braid-mini

A Qwen3-shaped language model of about five million parameters that reads tool signatures and a question, and
writes a plan in Braid's plan language. It is a planner and nothing else: it knows no facts, and it does no arithmetic.
The names, numbers and tools in its plans are copied from the prompt.

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

transformers loads it unmodified (`AutoModelForCausalLM`, `AutoTokenizer`). The prompt is written by `planner/compact.py`; the
prompt ends behind `<|plan|>` and a line end, and decoding is greedy.
"""

_LIMITS = """\
## Limits

- It plans look-ups, arithmetic, ranking, comparison, and short conditionals in English, as the planning set asks for them
  (`evals/planning_set`), and single calls of unfamiliar tools. Other questions get a plan of that kind all the same.
- Verbs of change that are not in its training data are often read the wrong way round.
- It never writes maps, `think`, keyword arguments or nested calls.
- Prompts with more than eight tools or 1,000 tokens were not trained.
"""


def _making(training: Mapping[str, Any]) -> str:
    recipe, progress, shape = training["recipe"], training["progress"], training["recipe"]["shape"]
    mixture = recipe["mixture"]
    return f"""\
## How it was made

    braid train mini --minutes {recipe["minutes"] or 60:g} --seed {recipe["seed"]} --out DIR

**Data.** Nothing but generated text. Questions and plans come from the families and wordings of `evals/planning_set`
(training wordings only). {100 * (1 - mixture["atlas"] - mixture["errands"]):.0f} % of the questions are about things with invented names,
drawn afresh for every question; {100 * mixture["atlas"]:.0f} % are about the training part of the built-in atlas (four fifths of the titles);
{100 * mixture["errands"]:.0f} % ask for calls of unfamiliar tools. The tools of each prompt are drawn at random: the built-in ones, others with
sensible names, or ones whose names, parameters and fields are invented; with others beside them that are not needed. A ranking tool is missing in
{100 * mixture["no_ranker"]:.0f} % of the prompts. No question of ParallelQA, nor any other data set, was used.

**Tokenizer.** Byte-level BPE of {recipe["vocab_size"]} tokens, trained on {recipe["tokenizer_examples"]:,} of these examples. Words, single digits and runs of punctuation are
split before merging, and a space never sticks to a word, so a name has the same tokens in the question and inside a quoted string.

**Model.** {shape["layers"]} layers of width {shape["hidden"]}, {shape["heads"]} query and {shape["key_value_heads"]} key-value heads of size {shape["head_size"]}, feed-forward {shape["feed_forward"]},
tied embeddings: {training["parameters"]:,} parameters.

**Recipe.** Loss on plan tokens only; Muon (learning rate {recipe["matrix_rate"]:g}) for the matrices and AdamW ({recipe["vector_rate"]:g}) for embeddings and norms; bfloat16
autocast; {recipe["batch_tokens"]:,} tokens a step; {100 * recipe["warmup"]:.0f} % warm-up, linear decay to zero over the last {100 * recipe["decay"]:.0f} % of the run; the first
{recipe["easy_pools"]} pools of 1,024 examples are filtered for short prompts. Seed {recipe["seed"]}. A run with a time limit sees as many tokens as the
machine manages, so another machine gives another model of the same kind; `--steps` makes a run repeatable.

**Cost.** {progress["step"]:,} steps, {progress["tokens"] / 1e6:.1f} million tokens ({progress["learned_tokens"] / 1e6:.1f} million of them plan tokens), {training["flops"]:.2g} FLOPs, {progress["seconds"] / 60:.0f} minutes
of wall clock with {training["threads"]} threads on {training["machine"]}.
"""


def _copying(sets: Mapping[str, Mapping[str, float]], measured: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {_share(r['names'])} | {_share(r['tools'])} | {_share(r['plans'])} ± {100 * r['errors']:.1f} |"
        for name, r in sets.items()
    )
    return f"""\
## Copying, and exact plans

Greedy decoding, {measured["samples"]} questions in each row (seed {measured["seed"]}); a name counts as copied if all its tokens are right. The names of the first two rows
and most of their tools were invented for the question; "held-out" wording and entities are those that no training question has.

| questions | names copied | tool names copied | plan exactly the reference |
|---|---|---|---|
{rows}
"""


def _runs(runs: Mapping[str, Mapping[str, float]], measured: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {r['n']:.0f} | {_share(r.get('accuracy', 0.0))} ± {100 * r.get('stderr', 0.0):.1f} | {_share(r.get('valid at once', 0.0))} |"
        for name, r in runs.items()
    )
    return f"""\
## Whole runs

Planned by this model, executed with the built-in tools, and the answer compared with the true one
(`braid train measure FOLDER --runs {measured["runs"]} --seed {measured["seed"]} --data-dir DIR`). `planning, heldout` has wording and entities that training never
saw. `parallelqa` is the sample of LLMCompiler's ParallelQA in the data folder: development data, whose kinds of phrasing informed the question families and whose
rows were never trained on; its reference answers rest on somewhat different figures for some entities.

| task | questions | answer right | plan valid at once |
|---|---|---|---|
{rows}
"""


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
