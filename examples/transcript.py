"""Draw questions in wordings that the embedded model never saw, ask them, and write down what it answers.

    python examples/transcript.py [--seed 0] [--count 20] > docs/transcript.md
    python examples/transcript.py --questions      # only print the questions

The seed fixes the draw: one question per family of questions, in the order in which
`braid.training.questions` draws them.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys

from braid.evals.tasks import frozen_tools, matches
from braid.orchestrator import Agent
from braid.training.questions import Sample, generate


def draw(seed: int, count: int) -> list[Sample]:
    """The first `count` held-out questions of `seed` that come from different families."""
    chosen: dict[str, Sample] = {}
    for sample in generate("heldout-templates", 1000, seed=seed):
        chosen.setdefault(sample.template.partition("/")[0], sample)
        if len(chosen) == count:
            break
    return list(chosen.values())


async def transcript(samples: list[Sample], engine: str) -> None:
    """Ask the questions and print a Markdown page."""
    print("# What braid-mini answers\n")
    print(
        f"Printed by `python {' '.join(map(shlex.quote, sys.argv))}`; "
        "nothing is left out and nothing is mended.\n"
    )
    right = 0
    # The right answers were worked out from the frozen facts.
    async with Agent(engine, tools=frozen_tools()) as agent:
        for number, sample in enumerate(samples, 1):
            print(f"## {number}. {sample.question}\n")
            result = await agent.run(sample.question)
            ok = result.complete and matches(sample.answer, result.answer)
            right += ok
            report = result.report()
            print(f"```\n{result.plan.strip()}\n```\n")
            answer = result.answer if result.complete else result.reason[:200]
            said = "Answer" if result.complete else result.status.capitalize()
            print(
                f"{said}: **{answer}** ({'right' if ok else f'wrong; right is {sample.answer}'}; "
                f"{report.nodes} nodes, {result.usage.generated_tokens} tokens)\n"
            )
    print(f"{right} of {len(samples)} right.")


def main() -> None:
    """Read the options and print the page or the questions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--engine", default="local:braid-mini")
    parser.add_argument("--questions", action="store_true", help="print the questions and run nothing")
    options = parser.parse_args()
    samples = draw(options.seed, options.count)
    if options.questions:
        print("\n".join(sample.question for sample in samples))
    else:
        asyncio.run(transcript(samples, options.engine))


if __name__ == "__main__":
    main()
