"""A panel of reviewers: each reads each document and votes several times, and a chair sums the votes up.

Install: pip install braid-agents (it drives a server).

    python examples/panel.py README.md CHANGELOG.md     # the graph, and the plan
    BRAID_ENGINE=openai:http://HOST:8000/v1#MODEL python examples/panel.py README.md CHANGELOG.md

The plan is written here, not by a model. All thoughts run side by side, each vote three times. You are shown
the plan before anything of it runs. Thinking needs a chat model, which BRAID_ENGINE names. With the embedded
model, which plans look-ups only, the graph is drawn and nothing runs.

Change first: `REVIEWERS`, the question in `add_document`, and `SAMPLES`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

from braid import Agent, BraidError, Plan, tool
from braid.engine import Engine
from braid.orchestrator.review import ApprovePlan, Decision, PlanReview, RejectPlan, Review
from braid.planner.builder import Result

REVIEWERS: Final = ("a newcomer who wants to start", "an engineer who runs it", "a strict copy editor")
SAMPLES: Final = 3
"""How often each reviewer votes. The share of the votes that agree is the confidence."""
MOST_CHARACTERS: Final = 20_000


class Verdict(BaseModel):
    """What the panel says of one document."""

    file: str
    verdict: Literal["accept", "revise"]
    votes: list[Literal["accept", "revise"]]
    confidence: list[float]


@tool
def read(file: str) -> str:
    """The text of a file, as far as the panel reads it."""
    return Path(file).read_text(encoding="utf-8", errors="replace")[:MOST_CHARACTERS]


def at_terminal(review: PlanReview) -> Decision:
    """Show the plan, and ask whether it is to run."""
    print(f"{review.plan}\n{review.calls} calls and thoughts are expected.", file=sys.stderr)
    return ApprovePlan() if input("Run it? [y/N] ").strip().lower() in ("y", "yes") else RejectPlan()


def make_agent(engine: str | Engine | None = None, review: Review | None = at_terminal) -> Agent:
    """The agent that runs the plan."""
    return Agent(engine, tools=[read], output_type=list[Verdict], review=review)


def make_plan(files: Sequence[str]) -> Plan:
    """Each document goes to all reviewers, and their votes to the chair."""
    plan = Plan()
    plan.answer([add_document(plan, file) for file in files])
    return plan


def add_document(plan: Plan, file: str) -> dict[str, object]:
    """The statements for one document. Returns its part of the answer."""
    text = plan.call(read, file)

    def vote(reviewer: Result) -> Result:
        question = (
            f"You are {reviewer}. Is this text fit to be published? Name what speaks for and against it in a "
            "few sentences. The last line is: The answer is accept, or: The answer is revise."
        )
        return plan.think(question, given=[text], method="self_consistency", n=SAMPLES, max_tokens=400)

    votes = plan.map(REVIEWERS, vote)
    places = range(len(REVIEWERS))
    chair = plan.think(
        "These are the votes of the reviewers of a text. What do most of them say? "
        "Write only: The answer is accept, or: The answer is revise.",
        given=[votes[i].answer for i in places],
        max_tokens=100,
    )
    return {
        "file": file,
        "verdict": chair.answer,
        "votes": [votes[i].answer for i in places],
        "confidence": [votes[i].confidence for i in places],
    }


async def main(files: Sequence[str]) -> None:
    """Draw the plan. Run it where the engine can think, and print the verdicts and what the run cost."""
    plan = make_plan(files)
    print(plan.diagram())
    async with make_agent() as agent:
        engine = await agent.open()
        if "chat" not in engine.capabilities:
            print(f"{plan}\n{engine.info.uri} is no chat model: set BRAID_ENGINE to one to run this")
            return
        result = await agent.run_plan(plan, question="Review documents before they are published.")
    if not result.complete:
        sys.exit(f"{result.status}: {result.reason}")
    for verdict in result.output:
        print(verdict.model_dump_json())
    print(result.report().text())


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1:]))
    except BraidError as error:
        sys.exit(f"error: {error}")
