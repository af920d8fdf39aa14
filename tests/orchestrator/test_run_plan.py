"""Plans that are written by hand: run without a model, checked first, resumed, thinking where they must."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from braid import Plan
from braid.engine import Budget, EngineError
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.tools import ToolDefinitionError
from braid.orchestrator import Agent, OutputTypeError, RunStarted
from braid.planner import InvalidPlanError

NOWHERE = "openai:http://127.0.0.1:9/v1#none"
HEIGHTS = {"K2": 8611.0, "Mont Blanc": 4806.0}
TEXT = """\
# How much taller?
a = height("K2")
b = height("Mont Blanc")
d = calculate(f"{a} - {b}")
if d > 1000:
    answer(d, "much")
else:
    answer(d)
"""


@tool
async def height(name: str) -> float:
    """Height of a mountain in metres."""
    return HEIGHTS[name]


@tool(effect="mutating")
def send(text: str) -> str:
    """Send a message."""
    return f"sent {text}"


async def test_a_plan_is_run_without_an_engine() -> None:
    result = await Agent(NOWHERE, tools=[height]).run_plan(TEXT)
    assert (result.answer, result.status, result.engine) == ("3805, much", "answered", "none")
    assert result.usage.calls == 0 and result.output == (3805, "much") and result["d"] == 3805
    assert result.plan == TEXT.rstrip("\n")


async def test_a_run_is_drawn_for_networkx_and_notebooks() -> None:
    result = await Agent(NOWHERE, tools=[height]).run_plan(TEXT)
    graph = result.to_networkx()
    assert set(graph.predecessors("d")) == {"a", "b"} and graph.nodes["d"]["state"] == "done"
    assert graph.nodes["d"]["tool"] == "calculate" and graph.nodes["d"]["text"] == "3805"
    page = result._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert page.startswith("<iframe srcdoc=") and "3805, much" in page and page.count('"') == 4


def test_a_built_plan_brings_its_tools_and_runs_without_a_loop() -> None:
    plan = Plan()
    a = plan.call(height, "K2")
    plan.answer(f"{a:.1f} m")
    assert Agent(NOWHERE, tools=[]).run_plan_sync(plan).answer == "8611.0 m"
    assert Agent(NOWHERE, tools=[height]).run_plan_sync(plan).answer == "8611.0 m"


async def test_another_tool_of_that_name_is_an_error() -> None:
    @tool(name="height")
    def other(name: str) -> str:
        """Another."""
        return "0"

    plan = Plan()
    plan.answer(plan.call(height, "K2"))
    with pytest.raises(ToolDefinitionError, match="'height' is there already"):
        await Agent(NOWHERE, tools=[other]).run_plan(plan)


@pytest.mark.parametrize(
    ("text", "places", "words"),
    [
        ('a = heigt("K2")\nanswer(1)\n', [(1, 5)], "did you mean `height`"),
        ('a = height(nam="K2")\nb = height("K2").x\nanswer(1)\n', [(1, 12), (2, 5)], "2 mistakes"),
        ('a = height("K2")\n', [(1, 1)], "does not end"),
        ("", [(1, 1)], "no statement"),
        ("for x in y:\n    pass\n", [(1, 12)], "line 1"),
        ('a = height("K2")\n\n\tanswer(a.y)\n', [(3, 2)], "line 3"),
    ],
)
async def test_mistakes_are_told_with_their_places_before_anything_runs(
    text: str, places: list[tuple[int, int]], words: str
) -> None:
    with pytest.raises(InvalidPlanError, match=words) as raised:
        await Agent(NOWHERE, tools=[height]).run_plan(text)
    found = [(error.line, error.column) for error in raised.value.errors]
    assert found[: len(places)] == places


async def test_a_thought_opens_the_engine_and_knows_the_question() -> None:
    engine = ScriptedEngine("Very.")
    agent = Agent(engine, tools=[height])
    result = await agent.run_plan('t = think("How tall?")\nanswer(t.answer)\n', question="On mountains")
    assert result.answer == "Very" and result.usage.calls == 1
    assert "On mountains" in engine.calls[0].prompt
    with pytest.raises(EngineError):
        await Agent(NOWHERE).run_plan('t = think("How tall?")\nanswer(t.answer)\n')


async def test_failures_declines_and_output_types() -> None:
    agent = Agent(NOWHERE, tools=[height])
    failed = await agent.run_plan('a = height("K3")\nanswer(a)\n')
    assert (failed.status, failed.stopped) == ("failed", "plan")
    assert "KeyError" in failed.reason
    declined = await agent.run_plan('decline("not today")\n')
    assert (declined.status, declined.answer) == ("declined", "not today")

    class Metres(BaseModel):
        metres: float

    fits = await agent.run_plan('a = height("K2")\nanswer({"metres": a})\n', output_type=Metres)
    assert fits.output == Metres(metres=8611.0)
    with pytest.raises(OutputTypeError):
        await agent.run_plan('answer("tall")\n', output_type=Metres)


async def test_approvals_and_budgets_hold() -> None:
    text = 's = send("x")\nanswer(s)\n'
    assert (await Agent(NOWHERE, tools=[send]).run_plan(text)).status == "failed"
    approving = Agent(NOWHERE, tools=[send], approve=lambda request: True)
    assert (await approving.run_plan(text)).answer == "sent x"
    limited = await Agent(NOWHERE, tools=[height]).run_plan(TEXT, budget=Budget(calls=1))
    assert limited.stopped == "budget"
    money = await Agent(NOWHERE, tools=[height]).run_plan(TEXT, budget=Budget(cost=1.0))
    assert money.answer == "3805, much"  # a run without an engine needs no price


async def test_a_plan_streams_its_events() -> None:
    async with Agent(NOWHERE, tools=[height]).stream_plan(TEXT) as events:
        kinds = [envelope.event.kind async for envelope in events]
    assert events.result.answer == "3805, much"
    assert kinds[0] == RunStarted.model_fields["kind"].default and kinds.count("planner.statement") == 5


async def test_a_plan_is_resumed_from_where_it_was(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    called: list[str] = []
    blocked = asyncio.Event()

    @tool
    async def slow(name: str) -> str:
        """Wait, the first time."""
        called.append(name)
        if name == "second" and called.count(name) == 1:
            blocked.set()
            await asyncio.sleep(60)
        return name

    text = 'a = slow("first")\nb = slow("second")\nif a == "first":\n    answer(a, b, slow("third"))\n'
    agent = Agent(NOWHERE, tools=[slow], journal=journal)
    task = asyncio.create_task(agent.run_plan(text))
    await blocked.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await agent.close()
    async with Agent(tools=[slow], journal=journal) as again:
        result = await again.resume("last")
    assert result.answer == "first, second, third" and result.engine == "none"
    assert called == ["first", "second", "third", "second"]


THOUSAND = """
import sys
from braid import Agent, Plan

def next_number(n: int) -> int:
    "The next number."
    return n + 1

plan = Plan()
number = plan.call(next_number, 0)
for _ in range(998):
    number = plan.call(next_number, number)
plan.answer(number)
result = Agent(tools=[next_number]).run_plan_sync(plan)
heavy = sorted({"torch", "transformers", "networkx"} & set(sys.modules))
print(result.answer, len(result.graph.nodes), heavy)
"""


def test_a_thousand_nodes_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", THOUSAND], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "999 1000 []", done.stderr
