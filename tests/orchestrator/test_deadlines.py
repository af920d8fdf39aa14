"""The time of a budget interrupts whatever is under way: loading, plans, thoughts, answers, restatements."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import braid.engine.local.engine as local_engine
from braid.engine import Budget, BudgetExceededError, Engine, EngineWrapper, Token, budget, connect
from braid.engine.local.scheduler.scheduler import Scheduler
from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent, RunFinished, RunStarted
from tests.support.scripted_server import serving
from tests.support.tiny_models import build_model

LIMIT, SOON = 0.3, 2.5
LONG = "word " * 100_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("llama"), "llama", context=8192)


@contextmanager
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


@pytest.fixture
def slow_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    load = local_engine.load_model

    def slowly(*args: object, **options: object) -> object:
        time.sleep(6)
        return load(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(local_engine, "load_model", slowly)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"openai:http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.usefixtures("slow_loading")
@pytest.mark.parametrize("given", ["run", "agent", "ambient", "stream"])
async def test_a_budget_interrupts_the_loading_of_a_model(folder: Path, given: str) -> None:
    with ExitStack() as stack:
        stack.enter_context(soon())
        limit = Budget(seconds=LIMIT, name="mine")
        if given == "ambient":
            limit = stack.enter_context(budget(seconds=LIMIT, name="mine"))
        agent = Agent(f"local:{folder}", tools=[], budget=limit if given == "agent" else None)
        if given == "stream":
            async with agent.stream("?", budget=limit) as run:
                kinds = [type(envelope.event) async for envelope in run]
            result = run.result
            assert kinds == [RunStarted, RunFinished]
        else:
            result = await agent.run("?", budget=limit if given == "run" else None)
        await agent.close()
    assert (result.status, result.stopped, result.answer) == ("failed", "budget", "")
    assert "'mine'" in result.reason and "seconds limit" in result.reason and result.to_dict()


async def test_a_budget_interrupts_the_search_for_a_server(silent: str, tmp_path: Path) -> None:
    with soon():
        agent = Agent(silent, tools=[], journal=tmp_path / "journal.db")
        result = await agent.run("?", budget=Budget(seconds=LIMIT))
    assert (result.status, result.stopped) == ("failed", "budget")
    await agent.close()


def test_run_sync_is_interrupted_while_it_opens_an_engine(silent: str) -> None:
    with soon():
        assert Agent(silent, tools=[]).run_sync("?", budget=Budget(seconds=LIMIT)).stopped == "budget"


async def test_a_run_is_resumed_with_more_time_to_open_its_engine(silent: str, tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    stopped = await Agent(ScriptedEngine("answer(1)"), tools=[], journal=file).run(
        "?", budget=Budget(calls=0)
    )
    with soon(), pytest.raises(BudgetExceededError, match="seconds"):
        await Agent(silent, tools=[], journal=file).resume(stopped.run_id, budget=Budget(seconds=LIMIT))
    done = await Agent(ScriptedEngine("answer(1)"), tools=[], journal=file).resume(
        stopped.run_id, budget=Budget()
    )
    assert done.answer == "1"


async def test_an_engine_that_is_open_needs_no_time_to_be_opened() -> None:
    result = await Agent(ScriptedEngine("answer(1)"), tools=[]).run("?", budget=Budget(seconds=0))
    assert result.stopped == "budget" and "was opened" not in result.reason


class Planned(EngineWrapper):
    """Plans what the test says. The rest is written by the engine inside."""

    def __init__(self, inner: Engine, plan: str) -> None:
        super().__init__(inner)
        self.plan: str | None = plan

    async def stream(self, context, params, *, budget=None) -> AsyncIterator[Token]:  # type: ignore[override]
        if self.plan is None:
            async for token in self.inner.stream(context, params, budget=budget):
                yield token
            return
        plan, self.plan = self.plan, None
        yield Token(text=plan, finish_reason="stop")


THINK = 'a = think("How high?", max_tokens=900)\nanswer(a)\n'
PLACES = {
    "plan": (None, "Who is taller?", None),
    "think": (THINK, "Who is taller?", None),
    "direct": (None, "Write a poem about the sea.", None),
    "output": ('answer("high")\n', "Who is taller?", int),
}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        *(("local", place) for place in ("plan", "think")),  # this one cannot chat
        *((kind, place) for kind in ("remote", "scripted") for place in PLACES),
    ],
)
async def test_a_budget_interrupts_a_generation(
    folder: Path, kind: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, question, output_type = PLACES[place]
    with ExitStack() as stack:
        if kind == "local":
            inner = await connect(f"local:{folder}", threads=1)
            step = Scheduler.step
            monkeypatch.setattr(Scheduler, "step", lambda self: (time.sleep(0.02), step(self))[1])
        elif kind == "remote":
            server = stack.enter_context(serving("a line\n" * 400, pause=0.02))
            inner = await connect(server.uri)
        else:
            inner = ScriptedEngine(LONG, delay=0.01)
        engine = inner if plan is None else Planned(inner, plan)
        agent = Agent(engine, tools=[])
        with soon():
            result = await agent.run(question, output_type=output_type, budget=Budget(seconds=LIMIT))
        assert result.stopped == "budget" and "seconds limit" in result.reason
        assert result.status == ("partial" if result.answer else "failed")
        assert inner.open_contexts() == 0
        await inner.close()
