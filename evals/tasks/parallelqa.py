"""`parallelqa`: LLMCompiler's hypothetical comparisons (arXiv 2312.04511), answered from the built-in atlas.

The data set is not part of Braid. Name a folder that holds `parallelqa_dataset.json` or a sample of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from braid.evals.solvers import SAMPLES_ARGUMENT, plan_samples, planning_metrics, solve_with_agent
from braid.evals.task import DataMissingError, Options, Output, Sample, Score, Task

FILES = ("parallelqa_dataset.json", "llmcompiler_parallelqa_sample.json")


def load(options: Options) -> Sequence[Sample]:
    """The rows of the first of `FILES` in the data folder."""
    plan_samples(options)  # a mistake shows before a model is loaded
    if options.data_dir is None:
        raise DataMissingError(f"task 'parallelqa' needs --data-dir, a folder with {' or '.join(FILES)}")
    for name in FILES:
        path = options.data_dir / name
        if path.is_file():
            rows = json.loads(path.read_text(encoding="utf-8"))
            return [
                Sample(
                    id=str(row["id"]),
                    question=str(row["question"]),
                    target=str(row["answer"]),
                    metadata={"branch": row["branch"]},
                )
                for row in rows
            ]
    raise DataMissingError(f"none of {', '.join(FILES)} is in {str(options.data_dir)!r}")


def same_answer(target: str, answer: str) -> bool:
    """The data set's own rule.

    A number is right within 10 % of the true one. A name is right up to case, articles and punctuation.
    """
    try:
        true = float(target.replace(",", ""))
    except ValueError:
        return _normal(target) == _normal(answer)
    number = re.search(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", answer, re.IGNORECASE)
    return number is not None and abs(float(number[0].replace(",", "")) - true) <= 0.1 * abs(true)


def _normal(text: str) -> str:
    words = re.sub(r"[^\w\s]", "", text.casefold()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


async def score(sample: Sample, output: Output) -> Score:
    """Right by the data set's own rule."""
    return planning_metrics(output, same_answer(sample.target, output.answer))


PARALLELQA = Task(
    name="parallelqa",
    summary="LLMCompiler's hypothetical comparisons, over the built-in atlas (needs --data-dir)",
    load=load,
    solve=solve_with_agent,
    score=score,
    arguments={"samples": SAMPLES_ARGUMENT},
)
