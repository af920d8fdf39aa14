"""`planning`: generated questions over the built-in atlas, answered by planning and running look-ups and arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from evals.planning_set import HANDWRITTEN, Split, generate, handwritten, matches
from evals.planning_set import Sample as Planned
from evals.task import EvalError, Options, Output, Sample, Score, Task, register
from evals.tasks.agent import planning_metrics, solve_with_agent

DEFAULT_SIZE = 200


def load(options: Options) -> Sequence[Sample]:
    """Questions of the split `-T split=...` (default `heldout`: wording and entities that training never saw)."""
    wanted = options.arguments.get("split", "heldout")
    splits: dict[str, Split] = {name: name for name in get_args(Split)}
    size = DEFAULT_SIZE if options.limit is None else options.limit
    if wanted in HANDWRITTEN:
        chosen = handwritten(wanted)[:size]
    elif wanted in splits:
        chosen = list(generate(splits[wanted], size, seed=options.seed))
    else:
        raise EvalError(f"unknown split {wanted!r}; there are: {', '.join((*splits, *HANDWRITTEN))}")
    return [
        Sample(
            id=planned.id,
            question=planned.question,
            target=planned.answer,
            metadata={
                "plan": planned.plan,
                "template": planned.template,
                "entities": list(planned.entities),
                "tolerance": planned.tolerance,
            },
        )
        for planned in chosen
    ]


async def score(sample: Sample, output: Output) -> Score:
    """Right when the answer holds the words and, within the tolerance, the numbers of the true one."""
    planned = Planned(
        id=sample.id,
        question=sample.question,
        plan=str(sample.metadata["plan"]),
        answer=sample.target,
        template=str(sample.metadata["template"]),
        entities=tuple(sample.metadata["entities"]),
        tolerance=float(sample.metadata["tolerance"]),
    )
    return planning_metrics(output, matches(planned, output.answer))


planning = register(
    Task(
        name="planning",
        summary="Generated look-up and arithmetic questions over the built-in atlas (needs no data)",
        load=load,
        solve=solve_with_agent,
        score=score,
        arguments={"split": f"one of {', '.join((*get_args(Split), *HANDWRITTEN))} (default: heldout)"},
    )
)
