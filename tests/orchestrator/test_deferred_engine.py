"""The embedded model is loaded for the questions that need it, and for no others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from braid.engine import Budget, Engine
from braid.engine.deferred import DeferredEngine
from braid.orchestrator import Agent
from braid.orchestrator.question import answered_by_code
from tests.support.tiny_models import build_model

PLANNED = "How tall would Mount Everest be if it lost a tenth of its height?"
"""A question that code does not understand."""
BY_CODE = """
import asyncio, sys
from braid import Agent

async def main():
    async with Agent("local:braid-mini", journal=sys.argv[1]) as agent:
        for question in ("How tall is Mount Everest?", "17 times 23", "Hello", "And its depth?", "fjdksl"):
            result = await agent.run(question)
            print(result.status, result.usage.calls)
            assert "torch" not in sys.modules, question
        assert (await agent.open()).info.details["threads"] == "1" and "torch" in sys.modules

asyncio.run(main())
"""


def test_a_run_that_asks_no_model_imports_no_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BY_CODE, str(tmp_path / "journal.db")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["answered 0"] * 3


async def test_a_question_for_the_model_finds_it_loaded() -> None:
    async with Agent("local:braid-mini") as agent:
        by_code, planned = await agent.job("17 times 23"), await agent.job(PLANNED)
        assert await answered_by_code(by_code) and isinstance(by_code.engine, DeferredEngine)
        assert not await answered_by_code(planned) and planned.engine is await agent.open()
        result = await agent.run(PLANNED)
        assert result.usage.generated_tokens > 0


async def test_loading_is_no_part_of_a_runs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[float] = []
    plain = DeferredEngine.open

    async def timed(self: DeferredEngine) -> Engine:
        engine = await plain(self)
        opened.append(time.monotonic())
        return engine

    monkeypatch.setattr(DeferredEngine, "open", timed)
    async with Agent("local:braid-mini") as agent:
        job = await agent.job(PLANNED, budget=Budget(seconds=60))
    assert opened and job.budget.started is not None and job.budget.started >= opened[0]


async def test_without_shortcuts_and_for_other_models_nothing_is_deferred(tmp_path: Path) -> None:
    async with Agent("local:braid-mini", shortcuts=False) as agent:
        assert not isinstance((await agent.job("17 times 23")).engine, DeferredEngine)
    async with Agent(f"local:{build_model(tmp_path, 'llama')}", threads=1) as agent:
        assert not isinstance((await agent.job("17 times 23")).engine, DeferredEngine)
