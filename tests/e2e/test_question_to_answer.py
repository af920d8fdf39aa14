"""From a question to an answer, through every room.

The tools and the atlas are real. The embedded model is used where it is installed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braid.engine import Budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.orchestrator import Agent, RunResult

QUESTION = "How much taller is K2 than Mont Blanc, and is that more than the depth of Lake Baikal?"
PLAN = """\
a = search("height of K2")
b = search("height of Mont Blanc")
c = search("depth of Lake Baikal")
d = calculate(f"{a.value} - {b.value}")
if d > c.value:
    answer(f"{d} {a.unit}; yes")
else:
    answer(f"{d} {a.unit}; no")
"""
HARD = """\
# a comment, a multi-line call, unicode, nested literals, a map, a nested call
found = [
    search(f"height of {m}")
    for m in ["K2", "Mont Blanc"]
]
high = rank(
    ["K2", "Mont Blanc"],
    [found[0], found[1]],
    order="ascending",
)
size = calculate(f"{found[0].value} - {found[1].value} + {calculate('1 + 1')}")
answer(f"{high[1]} {size:.1f} Zürich 上 $1 {{a.value}}", high)
"""


def outcome(result: RunResult[object]) -> tuple[object, ...]:
    return result.output, tuple(result.graph.nodes), {id: result.graph.state(id) for id in result.graph.nodes}


@pytest.fixture(autouse=True)
def _no_shortcuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about plans. "?" stands for any question."""
    monkeypatch.setenv("BRAID_SHORTCUTS", "0")


async def test_the_readme_question_with_the_real_tools() -> None:
    engine = ScriptedEngine(PLAN)
    result = await Agent(engine).run(QUESTION)
    assert result.answer == "3805 m; yes"
    report = result.report()
    assert 0 < report.critical_path <= report.work
    assert engine.open_contexts() == 0


@pytest.mark.parametrize("chunk", ["char", "word", "whole", 2, 7, 23])
async def test_any_chunking_gives_the_same_graph(chunk: Literal["char", "word", "whole"] | int) -> None:
    result = await Agent(ScriptedEngine(HARD, chunk=chunk)).run("?")
    assert result.output == ("K2 3807.0 Zürich 上 $1 {a.value}", ["Mont Blanc", "K2"])
    assert outcome(result) == outcome(await Agent(ScriptedEngine(HARD, chunk="whole")).run("?"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(HARD) - 1), unique=True, max_size=30).map(sorted))
def test_random_chunking_gives_the_same_graph(cuts: list[int]) -> None:
    async def plan(prompt: str) -> AsyncIterator[str]:
        for start, end in zip([0, *cuts], [*cuts, len(HARD)], strict=True):
            yield HARD[start:end]

    result = Agent(ScriptedEngine(plan, chunk="whole")).run_sync("?")
    assert result.output == ("K2 3807.0 Zürich 上 $1 {a.value}", ["Mont Blanc", "K2"])


async def test_a_tool_that_raises_ends_its_node_and_not_the_run() -> None:
    @tool
    def broken(x: int) -> int:
        raise RuntimeError("wires crossed")

    plan = 'a = broken(1)\nb = search("height of K2")\nc = calculate(f"{a} + 1")\nanswer(c)'
    mended = 'answer(f"only {b}")'
    result = await Agent(
        ScriptedEngine([plan, mended]), tools=[broken, *Agent(ScriptedEngine("")).tools]
    ).run("?")
    assert result.answer == "only 8611 m"
    states = {node["source"]: node["state"] for node in result.to_dict()["nodes"]}
    assert states["a = broken(1)"] == "failed" and states['b = search("height of K2")'] == "done"
    assert states['c = calculate(f"{a} + 1")'] == "skipped"


async def test_a_thread_that_will_not_stop_is_reported_and_holds_nobody_up() -> None:
    import threading

    release = threading.Event()

    @tool(timeout=0.05)
    def stubborn() -> int:
        release.wait(30)
        return 1

    try:
        async with asyncio.timeout(10):
            result = await Agent(
                ScriptedEngine("a = stubborn()\nanswer(a)"), tools=[stubborn], max_rounds=1
            ).run("?")
    finally:
        release.set()
    assert "tool.abandoned" in {envelope.event.kind for envelope in result.events}
    assert not result.complete and "0.05 s" in result.reason


async def test_ready_nodes_do_not_wait_for_a_slow_sibling() -> None:
    order: list[str] = []

    @tool
    async def step(name: str, seconds: float) -> str:
        await asyncio.sleep(seconds)
        order.append(name)
        return name

    plan = 'a = step("slow", 0.3)\nb = step("quick", 0.01)\nc = step(f"after {b}", 0.01)\nanswer(a, c)'
    await Agent(ScriptedEngine(plan), tools=[step]).run("?")
    assert order == ["quick", "after quick", "slow"]


def embedded_model() -> Path | None:
    spec = find_spec("braid")
    folder = Path(spec.origin).parent / "engine/local/models/braid-mini" if spec and spec.origin else Path()
    return folder if (folder / "model.safetensors").is_file() else None


needs_model = pytest.mark.skipif(
    embedded_model() is None,
    reason="braid-mini has no weights in this checkout; `braid train mini` makes them",
)


@needs_model
def test_the_embedded_model_answers_on_the_command_line() -> None:
    braid = Path(sys.executable).with_name("braid")
    done = subprocess.run(
        [braid, "run", QUESTION, "--json", "--budget-seconds", "60"],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["engine"] == "local:braid-mini"
    assert document["plan"] and document["nodes"]
    assert document["usage"]["generated_tokens"] > 0
    for node in document["nodes"]:
        if node["state"] == "done":
            assert node["finished"] >= node["started"]


@needs_model
async def test_the_embedded_model_leaves_nothing_open() -> None:
    async with Agent("local:braid-mini") as agent:
        engine = await agent.open()
        result = await agent.run("How tall is K2?", budget=Budget(seconds=30))
        assert result.usage.generated_tokens > 0
        assert engine.open_contexts() == 0
