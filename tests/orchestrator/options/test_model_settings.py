"""Settings of the model: on the agent, for one run, in the journal and on the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from braid import ModelSettings
from braid.engine import SamplingParams
from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent, ConfigurationError
from braid.orchestrator.settings import RunSpec
from tests.support.fault_server import Call, FaultServer, refuses, says
from tests.support.interrupted_runs import interrupted

PLAN = 'a = think("x")\nb = think("x", top_p=0.9)\nc = think("x", n=2)\nanswer(a, b, c)\n'


def given_to(params: SamplingParams, names: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(params, name) for name in names}


@pytest.mark.parametrize("place", ["agent", "run"])
@pytest.mark.parametrize(
    "given",
    [
        {"top_p": 0.5, "stop": ("#",)},
        {"temperature": 0.4, "max_tokens": 77, "top_p": 0.25},
        {"stop": ("§", "#")},
    ],
)
async def test_they_hold_for_plans_thoughts_and_direct_answers(place: str, given: dict[str, Any]) -> None:
    engine = ScriptedEngine([PLAN, "yes", "yes", "yes", "A poem."], chunk="whole")
    on_agent, on_run = (given, None) if place == "agent" else ({}, ModelSettings(**given))
    agent = Agent(engine, tools=[], **on_agent)
    await agent.run("Which is it?", settings=on_run)
    await agent.run("Write a poem about the sea.", settings=on_run)
    planned, first, second, voted, direct = (call.params for call in engine.calls)
    for params in (first, voted, direct):
        assert given_to(params, given) == given
    of_plans = {name: value for name, value in given.items() if name != "stop"}
    assert given_to(planned, of_plans) == of_plans
    assert not {"#", "§"} & {*planned.stop}, "the plan language says where a plan ends"
    assert second.top_p == 0.9


async def test_those_of_a_run_are_its_own_and_win() -> None:
    engine = ScriptedEngine("A poem.")
    agent = Agent(engine, tools=[], temperature=0.2, seed=5, stop="#")
    await agent.run("Write a poem about the sea.", settings=ModelSettings(temperature=0.9, seed=7))
    await agent.run("Write a poem about the sea.")
    params = [call.params for call in engine.calls]
    assert [(each.temperature, each.seed, each.stop) for each in params] == [
        (0.9, 7, ("#",)),
        (0.2, 5, ("#",)),
    ]


@pytest.mark.parametrize(
    "wrong", [{"top_p": 0}, {"top_p": 1.5}, {"stop": [""]}, {"stop": [3]}, {"output_retries": -1}]
)
async def test_they_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Agent(ScriptedEngine("answer(1)"), tools=[], **wrong)
    agent = Agent(ScriptedEngine("answer(1)"), tools=[])
    options: Any = wrong if "output_retries" in wrong else {"settings": wrong}
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        await agent.run("?", **options)
    with pytest.raises(ConfigurationError, match="top_k"):
        await agent.run("?", settings={"top_k": 3})  # type: ignore[arg-type]


async def test_a_resumed_run_has_those_that_it_was_started_with(tmp_path: Path) -> None:
    begun, hold = asyncio.Event(), asyncio.Event()

    async def thought(prompt: str) -> Any:
        begun.set()
        await hold.wait()
        yield "yes"

    def model(prompt: str) -> Any:
        return 'a = think("x")\nanswer(f"{a}")\n' if "Write the plan" in prompt else thought(prompt)

    file = tmp_path / "runs.db"
    settings = ModelSettings(temperature=0.3, top_p=0.7, stop=("#",), seed=11)
    first = Agent(ScriptedEngine(model), tools=[], journal=file, shortcuts=False)
    await interrupted(first, begun, settings=settings, instructions="Be brief.", output_retries=4)
    engine = ScriptedEngine(["yes"])
    async with Agent(engine, tools=[], journal=file, shortcuts=False) as agent:
        result = await agent.resume("last")
        assert agent.journal is not None
        spec = RunSpec.model_validate(agent.journal.find("last").spec)
    params = engine.calls[0].params
    assert (result.answer, params.temperature, params.top_p, params.stop) == ("yes", 0.3, 0.7, ("#",))
    assert (spec.seed, spec.output_retries, spec.instructions) == (11, 4, "Be brief.")


async def test_a_direct_answer_needs_no_seed() -> None:
    async def answer(call: Call) -> None:
        await (refuses(422, {"error": "unknown field 'seed'"}) if "seed" in call.body else says("A poem."))(
            call
        )

    async with FaultServer(answer) as server, Agent(f"openai:{server.address}", tools=[]) as agent:
        assert (await agent.run("Write a poem about the sea.")).answer == "A poem."
    assert len(server.calls) == 2
