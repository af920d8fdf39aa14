"""The options of a run: where they come from, how they are checked, and what a resumed run has of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from braid.engine import Budget, EngineURIError, Price
from braid.executors import Limits
from braid.orchestrator import Agent, ConfigurationError, ResumeRefusedError
from braid.orchestrator.settings import BudgetLimits, RunSpec, load_settings
from tests.support.interrupted_runs import Toolbox, agent_of, interrupted
from tests.support.scripted_server import serving


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_given_options_win_over_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAID_SEED", "5")
    monkeypatch.setenv("BRAID_MAX_ROUNDS", "7")
    spec = RunSpec.of(load_settings(), seed=0, max_rounds=None, instructions="be brief")
    assert (spec.seed, spec.max_rounds, spec.instructions) == (0, 7, "be brief")
    agent = Agent("nowhere:x", seed=3, tools=[])
    assert (agent.spec.seed, agent.spec.max_rounds, agent.spec.engine) == (3, 7, "nowhere:x")


def test_an_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TypeError, match="max_round"):
        RunSpec.of(load_settings(), max_round=3)
    with pytest.raises(ConfigurationError, match="max_rounds must be at least 1, got 0"):
        RunSpec.of(load_settings(), max_rounds=0)


def test_a_spec_is_read_from_its_json_as_it_was() -> None:
    budget = Budget(tokens=9, seconds=2.5, soft=0.5, prices={"gpt-*": Price(prompt=1.0, cached=0.5)})
    spec = RunSpec(
        engine="openai:http://127.0.0.1:1/v1#m",
        mcp=Path("servers.json"),
        limits=Limits(max_concurrency=2, node_timeout=3.0),
        budget=BudgetLimits.of(budget),
        history=({"role": "user", "content": "before"},),
        tools={"search": "abc"},
    )
    assert RunSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec
    assert spec.budget is not None
    again = spec.budget.budget()
    assert (again.tokens, again.seconds, again.soft, again.prices) == (9, 2.5, 0.5, budget.prices)
    assert again.spent["tokens"] == 0
    with pytest.raises(ValidationError, match="role"):
        RunSpec.model_validate({"history": ["hello"]})


async def test_options_of_the_run_come_back(file: Path) -> None:
    first = Toolbox(hang="total")
    history: Any = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "yes"}]
    agent = agent_of(file, first, seed=7, instructions="be brief", max_repairs=5)
    await interrupted(agent, first.hanging, history=history, sequential=True)
    second = Toolbox()
    async with agent_of(file, second, []) as agent:
        result = await agent.resume("last")
    assert result.question == "go" and list(result.history)[:2] == history
    assert "be brief" in result.root[0]["content"]


async def test_options_in_the_journal_of_another_version(file: Path) -> None:
    """Keys that this version does not know are ignored. Keys that are missing have their defaults."""
    first = Toolbox(hang="total")
    budget = Budget(calls=5, prices={"*": Price(call=1.0)})
    id = await interrupted(agent_of(file, first, seed=7), first.hanging, budget=budget, sequential=True)
    with sqlite3.connect(file) as db:
        spec = json.loads(db.execute("SELECT spec FROM runs").fetchone()[0])
        assert (spec["seed"], spec["sequential"], spec["budget"]["calls"]) == (7, True, 5)
        assert set(spec) >= {
            "engine",
            "threads",
            "mcp",
            "history",
            "instructions",
            "max_rounds",
            "max_repairs",
        }
        assert set(spec["limits"]) == {"max_concurrency", "node_timeout", "max_nodes", "max_map_items"}
        for known in (spec, spec["limits"], spec["budget"], spec["budget"]["prices"]["*"]):
            known["newer"] = [{"what": 1}]
        del spec["instructions"], spec["limits"]["max_map_items"], spec["budget"]["soft"]
        db.execute("UPDATE runs SET spec = ?", (json.dumps(spec),))
    db.close()
    second = Toolbox()
    async with agent_of(file, second, []) as agent:
        result = await agent.resume(id)
        assert result.stopped == "budget" and result.budget["calls"].limit == 5
        assert agent.journal is not None
        with agent.journal._db as db:  # pyright: ignore[reportPrivateUsage]
            db.execute("UPDATE runs SET spec = ?", (json.dumps({**spec, "max_rounds": "many"}),))
        with pytest.raises(ResumeRefusedError, match="max_rounds"):
            await agent.resume(id)


async def test_only_the_engine_of_the_resumed_run_is_opened(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_ENGINE", "nowhere:x")
    options: Any = {"builtins": False, "journal": file}
    with serving("t = total([1])\nanswer(t)\n") as recorded:
        first = Toolbox(hang="total")
        await interrupted(Agent(recorded.uri, tools=first.tools, **options), first.hanging)
        async with Agent(tools=Toolbox().tools, **options) as agent:
            assert (await agent.resume("last")).answer == "1"
            with pytest.raises(EngineURIError, match="nowhere"):
                await agent.run("later")


@pytest.mark.parametrize("busy", [False, True])
async def test_the_engine_of_a_resumed_run_is_not_that_of_later_runs(
    file: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """An agent without an engine takes the recorded one for the resumed run, and for no other run."""
    failing = "t = total([1])\nb = broken(t)\nanswer(b)\n"
    theirs = iter([failing])
    thinking = 'd = double(4)\nt = think("?", given=[d])\nanswer(t.answer)\n'

    def ours(messages: list[dict[str, str]]) -> str:
        return thinking if "plan" in messages[-1]["content"] else "\\boxed{ours}"

    with serving(ours) as own, serving(lambda _: next(theirs, "answer('theirs')\n")) as recorded:
        monkeypatch.setenv("BRAID_ENGINE", own.uri)
        options: Any = {"builtins": False, "journal": file, "max_rounds": 2, "replan": None}
        first = Toolbox(hang="total")
        await interrupted(Agent(recorded.uri, tools=first.tools, **options), first.hanging)
        box = Toolbox(hang="double" if busy else "")
        agent = Agent(tools=box.tools, **options)
        other = asyncio.create_task(agent.run("other")) if busy else None
        if other is not None:
            await box.hanging.wait()
        assert agent.journal is not None
        id = agent.journal.runs()[-1].id
        async with asyncio.timeout(5):
            assert (await agent.resume(id)).answer == "theirs"
        assert len(recorded.requests) == 2
        if other is not None:
            box.let_go.set()
            assert (await other).answer == "ours"
        for _ in range(2):
            assert (await agent.run("later")).answer == "ours"
            await agent.close()
        assert len(recorded.requests) == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"device": "cuda:0"}, {"device": "cuda:0"}),
        ({"memory_mib": 2}, {"memory_bytes": 2 * 2**20}),
        ({"cache_mib": 0}, {"cache_bytes": 0}),
        ({"chunk_tokens": 64, "threads": 3}, {"chunk_tokens": 64, "threads": 3}),
        ({}, {}),
    ],
    ids=str,
)
def test_options_of_local_engines_come_from_arguments_and_settings(
    given: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RunSpec.of(load_settings(), **given).engine_options("local:braid-mini") == expected
    assert RunSpec.of(load_settings(), **given).engine_options("openai:http://x/v1#m") == {}
    for name, value in given.items():
        monkeypatch.setenv(f"BRAID_{name.upper()}", str(value))
    assert RunSpec.of(load_settings()).engine_options("local:braid-mini") == expected


def test_a_remote_engine_is_probed_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = "openai:http://x/v1#m"
    assert RunSpec.of(load_settings(), probe=True).engine_options(remote) == {"probe": True}
    assert RunSpec.of(load_settings(), probe=True).engine_options("local:braid-mini") == {}
    assert Agent(remote, tools=[], probe=True).spec.probe
    monkeypatch.setenv("BRAID_PROBE", "true")
    assert RunSpec.of(load_settings()).engine_options(remote) == {"probe": True}


@pytest.mark.parametrize("wrong", [{"memory_mib": 0}, {"cache_mib": -1}, {"chunk_tokens": 0}, {"device": ""}])
def test_options_of_local_engines_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        RunSpec.of(load_settings(), **wrong)
