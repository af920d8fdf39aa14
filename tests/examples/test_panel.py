from __future__ import annotations

import json
from pathlib import Path

import pytest

from braid.orchestrator.review import PlanReview, PlanReviewed
from braid.testing import ScriptedEngine
from examples.panel import REVIEWERS, SAMPLES, Verdict, make_agent, make_plan
from tests.support.example_process import run_example
from tests.support.scripted_server import serving


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "good.md").write_text("All is well.")
    (tmp_path / "bad.md").write_text("There are mistaks.")
    return [str(tmp_path / "good.md"), str(tmp_path / "bad.md")]


def opinion(prompt: str) -> str:
    """What the model says: the copy editor has doubts about mistakes, and the chair counts."""
    if "These are the votes" in prompt:
        known = prompt.rpartition("What is known:")[2]
        return f"The answer is {'revise' if known.count('revise') > known.count('accept') else 'accept'}."
    strict = "a strict copy editor" in prompt or "an engineer" in prompt
    return f"It reads so.\nThe answer is {'revise' if 'mistaks' in prompt and strict else 'accept'}."


async def test_each_reviewer_votes_on_each_document_and_the_chair_decides(files: list[str]) -> None:
    engine = ScriptedEngine(opinion)
    shown: list[PlanReview] = []

    def review(plan: PlanReview) -> bool:
        shown.append(plan)
        return True

    result = await make_agent(engine, review).run_plan(make_plan(files))
    assert result.output == [
        Verdict(file=files[0], verdict="accept", votes=["accept"] * 3, confidence=[1.0] * 3),
        Verdict(file=files[1], verdict="revise", votes=["accept", "revise", "revise"], confidence=[1.0] * 3),
    ]
    (plan,) = shown
    assert plan.calls == 2 * (1 + len(REVIEWERS) + 1)
    assert sum(call.params.n for call in engine.calls) == 2 * (len(REVIEWERS) * SAMPLES + 1)
    assert any(isinstance(envelope.event, PlanReviewed) for envelope in result.events)


async def test_a_plan_that_is_rejected_costs_nothing(files: list[str]) -> None:
    engine = ScriptedEngine([])
    result = await make_agent(engine, lambda _: False).run_plan(make_plan(files))
    assert result.status == "failed" and "rejected" in result.reason
    assert engine.calls == []


def test_the_program_draws_the_graph_where_nothing_can_think(files: list[str]) -> None:
    ran = run_example("panel", *files)
    assert ran.stdout.startswith("flowchart TD\n") and "n0 --> n1\n" in ran.stdout, ran.stderr
    assert ran.stdout.endswith("local:braid-mini is no chat model: set BRAID_ENGINE to one to run this\n")


def test_the_program_runs_the_plan_on_a_server_once_it_is_approved(files: list[str]) -> None:
    with serving(lambda messages: opinion(messages[-1]["content"])) as server:
        refused = run_example("panel", *files, lines="n\n", engine=server.uri)
        assert refused.returncode == 1 and "rejected" in refused.stderr
        ran = run_example("panel", *files, lines="y\n", engine=server.uri)
    assert "10 calls and thoughts are expected" in ran.stderr
    verdicts = [
        json.loads(line)
        for line in ran.stdout.partition("[y/N] ")[2].splitlines()
        if line.startswith('{"file"')
    ]
    assert [verdict["verdict"] for verdict in verdicts] == ["accept", "revise"]
    assert "critical path" in ran.stdout and "work" in ran.stdout
