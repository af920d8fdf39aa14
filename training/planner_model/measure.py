"""What a trained planner gets right, measured on questions that training never showed.

All rates are of greedy decoding. A plan is exact if and only if the model's first choice is the reference
token at every place of the reference. One forward pass shows that. The same pass shows which names were
copied exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from braid.engine import Engine
from braid.evals import EvalReport, Options, get_task, run_task
from braid.evals.tasks import SPLITS
from braid.executors.tools import ToolSpec
from braid.planner.prompts import OWN, STOP, Markers, compact_prompt
from braid.training.batches import collate
from braid.training.planner_model.examples import PLAIN_MIXTURE, Example, draw_example
from braid.training.planner_model.packing import encode
from braid.training.questions import Split, generate
from braid.training.questions.tools import builtin_toolbox
from braid.training.tokens import PAD, token_id


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of what is exact."""

    n: int
    """Number of examples."""
    plans: float
    """Exact plans."""
    errors: float
    """Standard error of `plans`."""
    names: float
    """Names that were copied exactly, over all places of plans."""
    tools: float
    """Tool names that were copied exactly, over all calls."""

    def facts(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Miss:
    """A plan that differs from its reference."""

    prompt: str
    reference: str
    predicted: str
    """The model's first choice at each place of the reference."""


def exact_plans(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    *,
    batch_size: int = 16,
    markers: Markers = OWN,
    on_miss: Callable[[Miss], None] | None = None,
) -> Rates:
    """Exact-match and copy rates over `examples`.

    Raises:
        ValueError: There are no examples.
    """
    if not examples:
        raise ValueError("nothing to measure: give at least one example")
    exact = names = named = tools = tooled = 0
    for start in range(0, len(examples), batch_size):
        part = examples[start : start + batch_size]
        for example, right, predicted in _predict(model, tokenizer, part, markers):
            exact += all(right)
            spans = [span for name in example.names for span in _spans(example.plan, name)]
            named += len(spans)
            names += _copied(tokenizer, example.plan, right, spans)
            spans = [span for tool in example.tools for span in _spans(example.plan, f" {tool}(", 1, 1)]
            tooled += len(spans)
            tools += _copied(tokenizer, example.plan, right, spans)
            if on_miss and not all(right):
                on_miss(Miss(example.prompt, example.plan, predicted))
    share = exact / len(examples)
    return Rates(
        n=len(examples),
        plans=share,
        errors=(share * (1 - share) / len(examples)) ** 0.5,
        names=names / max(1, named),
        tools=tools / max(1, tooled),
    )


def invented_examples(n: int, *, seed: int, held_out: bool) -> list[Example]:
    """Questions about invented things for random tools: no name in them was ever seen in training."""
    return [
        draw_example(random.Random(f"measure/{seed}/{i}"), PLAIN_MIXTURE, held_out=held_out) for i in range(n)
    ]


def atlas_examples(
    split: Split, n: int, *, seed: int, tools: Sequence[ToolSpec] | None = None
) -> list[Example]:
    """Samples of the planning set for the built-in tools (or `tools` of the same names)."""
    specs = builtin_toolbox() if tools is None else tools
    return [
        Example(compact_prompt(s.question, specs), s.plan + STOP, s.entities, ("search", "calculate", "rank"))
        for s in generate(split, n, seed=seed)
    ]


CopyReport = dict[str, Rates]
"""Rates by set of questions."""


def measure_copying(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, *, n: int, seed: int
) -> CopyReport:
    """Rates on invented names, and on the splits of the planning set, with `n` questions in each set."""
    sets = {
        "invented names and tools, known wording": invented_examples(n, seed=seed, held_out=False),
        "invented names and tools, held-out wording": invented_examples(n, seed=seed, held_out=True),
        **{f"atlas, {split}": atlas_examples(split, n, seed=seed) for split in get_args(Split)},
    }
    return {name: exact_plans(model, tokenizer, examples) for name, examples in sets.items()}


async def measure_runs(
    engine: Engine, *, n: int, seed: int, data_dir: Path | None = None
) -> dict[str, dict[str, float]]:
    """Accuracy of whole runs: planned by `engine`, executed, and the answer compared with the true one.

    ParallelQA is included where `data_dir` holds it.
    """
    found: dict[str, dict[str, float]] = {}
    for split in SPLITS:
        options = Options(seed=seed, limit=n, arguments={"split": split})
        found[f"planning, {split}"] = _figures(await run_task(get_task("planning"), engine, options))
    if data_dir is not None:
        options = Options(seed=seed, data_dir=data_dir)
        found["parallelqa"] = _figures(await run_task(get_task("parallelqa"), engine, options))
    return found


def _figures(report: EvalReport) -> dict[str, float]:
    figures = {"n": float(report.samples), "errors": float(report.errors)}
    if report.accuracy is not None:
        figures |= {"accuracy": report.accuracy.mean, "stderr": report.accuracy.stderr or 0.0}
    return figures | {name: figure.mean for name, figure in report.metrics.items()}


def _predict(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    markers: Markers,
) -> Iterator[tuple[Example, list[bool], str]]:
    pad = token_id(tokenizer, PAD if markers is OWN else markers.stop)
    batch = collate([encode(example, tokenizer, markers) for example in examples], pad)
    with torch.inference_mode():
        chosen = model(input_ids=batch.ids.to(model.device), use_cache=False).logits.argmax(-1).cpu()
    for row, example in enumerate(examples):
        learned = batch.targets[row] >= 0
        right = (chosen[row][learned] == batch.targets[row][learned]).tolist()
        yield example, right, str(tokenizer.decode(chosen[row][learned].tolist()))


def _spans(text: str, part: str, left: int = 0, right: int = 0) -> list[tuple[int, int]]:
    """Where `part` stands in `text`, without its first `left` and last `right` characters."""
    spans: list[tuple[int, int]] = []
    start = text.find(part)
    while start >= 0:
        spans.append((start + left, start + len(part) - right))
        start = text.find(part, start + len(part))
    return spans


def _copied(
    tokenizer: PreTrainedTokenizerFast, plan: str, right: Sequence[bool], spans: Sequence[tuple[int, int]]
) -> int:
    offsets: list[tuple[int, int]] = tokenizer(plan, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    count = 0
    for start, end in spans:
        inside = [
            ok for ok, (first, last) in zip(right, offsets, strict=True) if first < end and last > start
        ]
        count += all(inside)
    return count
