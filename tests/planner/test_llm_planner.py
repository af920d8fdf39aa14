"""The planner that is a language model, with a scripted model: streaming, repairs, limits, later rounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from braid.engine import Budget, BudgetExceededError, Event, InvalidParamsError
from braid.engine.scripted import Response, ScriptedEngine
from braid.executors import GraphPatch, RunContext, RunOutcome, TaskGraph, run_graph
from braid.planner import (
    LLMPlanner,
    PlanEvent,
    PlannerFinished,
    PlannerRejected,
    PlannerRepaired,
    PlannerStatement,
    PlannerText,
    PlanningError,
    PlanTask,
    run_root,
)
from braid.planner.prompts import STOP, compact_prompt
from tests.support.plan_tools import plan_tools

COMPACT = {"prompt_style": "compact"}


PLAN = """\
a = search("height of K2")
b = search("height of Mont Blanc")
d = calculate(f"{a.value} - {b.value}")
answer(f"{d} m")
"""


def task(question: str = "How much taller is K2 than Mont Blanc?", **options: object) -> PlanTask:
    return PlanTask(question=question, tools=plan_tools().specs(), **options)  # pyright: ignore


async def events_of(planner: LLMPlanner, given: PlanTask) -> list[PlanEvent]:
    return [event async for event in planner.plan(given)]


async def run(planner: LLMPlanner, given: PlanTask) -> tuple[RunOutcome, list[Event]]:
    events: list[Event] = []
    plan = planner.start(given, emit=events.append)
    outcome = await run_graph(given.graph, plan, RunContext(tools=plan_tools(), emit=events.append))
    return outcome, events


@pytest.mark.parametrize("chunk", ["char", "word", "whole", 7])
async def test_a_plan_runs_in_any_chunking(chunk: str) -> None:
    engine = ScriptedEngine(PLAN, chunk=chunk)  # pyright: ignore
    outcome, events = await run(LLMPlanner(engine), task())
    assert outcome.answer == ("3805 m",)
    assert [e.source for e in events if isinstance(e, PlannerStatement)] == PLAN.splitlines()
    (finished,) = [e for e in events if isinstance(e, PlannerFinished)]
    assert (finished.valid, finished.plan, finished.statements, finished.attempts) == (True, PLAN, 4, 1)
    assert finished.prompt_tokens > 0 and finished.generated_tokens > 0
    assert PLAN.startswith("".join(e.text for e in events if isinstance(e, PlannerText)).rstrip())
    assert engine.calls[0].params.temperature == 0
    assert engine.open_contexts() == 0


async def test_a_statement_is_dispatched_while_the_model_is_silent() -> None:
    hold = asyncio.Event()

    async def script(prompt: str) -> AsyncIterator[str]:
        yield 'a = search("height of K2")\nif a.value > 3:\n    b = search("Ararat")\n'
        await hold.wait()
        yield "    answer(b.title)\n"

    engine = ScriptedEngine(script)
    given = task()
    plan = LLMPlanner(engine).start(given)
    for name in ("a", "b"):
        patch = await anext(plan)
        assert [node.name for node in patch.add] == [name]
        given.graph.apply(patch)
    waiting = asyncio.ensure_future(anext(plan))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    hold.set()
    given.graph.apply(await waiting)
    assert [patch async for patch in plan] == []
    assert engine.open_contexts() == 0


async def test_nothing_is_read_behind_the_answer() -> None:
    read: list[str] = []

    async def script(prompt: str) -> AsyncIterator[str]:
        for piece in ("answer(1)\n", "Now I ", "explain at length"):
            read.append(piece)
            yield piece

    engine = ScriptedEngine(script, chunk="whole")
    events = await events_of(LLMPlanner(engine), task())
    assert isinstance(events[-1], PlannerFinished) and events[-1].valid
    assert "explain at length" not in read
    assert engine.open_contexts() == 0


async def test_chat_repair_tells_the_mistake_and_keeps_what_stands() -> None:
    bad = PLAN.replace("b.value", "b.hight")
    engine = ScriptedEngine(["```python\n" + bad + "```", "Sorry!\n```\n" + PLAN + "```"])
    outcome, events = await run(LLMPlanner(engine), task())
    assert outcome.answer == ("3805 m",)
    (rejected,) = [e for e in events if isinstance(e, PlannerRejected)]
    assert (rejected.line, rejected.attempt) == (4, 0)
    assert "did you mean" in rejected.fix or "Fact has" in rejected.fix
    assert [e.rejected for e in events if isinstance(e, PlannerRepaired)] == [1]
    first, second = engine.calls
    assert first.messages is not None and second.messages is not None
    assert second.messages[: len(first.messages)] == first.messages
    assistant, user = second.messages[len(first.messages) :]
    assert assistant["role"] == "assistant" and 'a = search("height of K2")' in assistant["content"]
    assert (
        'd = calculate(f"{a.value} - {b.hight}")' in user["content"]
        and "Fact has title, value" in user["content"]
    )
    assert second.params.temperature == 0.7
    assert [e.source for e in events if isinstance(e, PlannerStatement)] == PLAN.splitlines()
    assert engine.open_contexts() == 0


async def test_a_chat_repair_may_go_on_where_it_stopped() -> None:
    rest = PLAN.split("\n", 2)[2]
    engine = ScriptedEngine([PLAN.replace("b.value", "b["), rest])
    outcome, _ = await run(LLMPlanner(engine), task())
    assert outcome.answer == ("3805 m",)


async def test_the_model_is_stopped_at_its_mistake() -> None:
    read: list[str] = []

    async def script(prompt: str) -> AsyncIterator[str]:
        for piece in ("a = serch('x')\n", "b = search('y')\n", "answer(b)\n"):
            read.append(piece)
            yield piece

    engine = ScriptedEngine([script, "answer(1)"], chunk="whole")
    await events_of(LLMPlanner(engine), task())
    assert len(read) < 3
    assert engine.open_contexts() == 0


async def test_compact_repair_goes_on_from_the_valid_statements() -> None:
    good = 'a = search("height of K2")\nif a.value > 9000:\n    answer("high")\n'
    engine = ScriptedEngine(
        [good + "else:\n    answer(a.valeu)\n", 'else:\n    answer("low")\n'], details=COMPACT
    )
    given = task("Is K2 high?")
    outcome, events = await run(LLMPlanner(engine), given)
    assert outcome.answer == ("low",)
    assert engine.prefills == [
        compact_prompt("Is K2 high?", given.tools),
        compact_prompt("Is K2 high?", given.tools, plan_so_far=good),
    ]
    first, second = (call.params for call in engine.calls)
    assert (first.temperature, second.temperature, first.stop) == (0, 0.7, (STOP,))
    assert first.seed != second.seed
    (finished,) = [e for e in events if isinstance(e, PlannerFinished)]
    assert finished.plan == good + 'else:\n    answer("low")\n'
    assert finished.attempts == 2
    assert engine.open_contexts() == 0


async def test_a_compact_plan_ends_at_its_stop_token() -> None:
    engine = ScriptedEngine(
        'a = search("K2")\nif a.value > 1:\n    answer("yes")\n<|end|>\nanswer(a.nonsense)', details=COMPACT
    )
    events = await events_of(LLMPlanner(engine), task())
    assert isinstance(events[-1], PlannerFinished)
    assert (events[-1].valid, events[-1].statements) == (True, 2)


@pytest.mark.parametrize("text", ["", "I cannot do that.", "```\n```", "\n\n# nothing\n", "<|end|>"])
async def test_a_reply_without_a_plan_is_a_mistake(text: str) -> None:
    engine = ScriptedEngine([text, "answer(1)"])
    events = await events_of(LLMPlanner(engine), task())
    assert [e.message for e in events if isinstance(e, PlannerRejected)] == [
        "there is no statement of a plan in this text"
    ]
    assert engine.open_contexts() == 0


@pytest.mark.parametrize("style", ["chat", "compact"])
async def test_repairs_are_limited(style: str) -> None:
    engine = ScriptedEngine(
        'a = search("K2")\nb = nope(1)\n', details=COMPACT if style == "compact" else None
    )
    events: list[PlanEvent] = []
    given = task()
    plan = LLMPlanner(engine, max_repairs=3).start(given, emit=events.append)
    async for patch in plan:
        assert plan.error is None
        given.graph.apply(patch)
    assert len(engine.calls) == 4
    assert plan.error is not None and len(plan.error.errors) == 4
    assert "no tool `nope`" in str(plan.error)
    assert plan.error.text.count("nope") == 4
    assert list(given.graph.nodes) == ["a"]
    finished = events[-1]
    assert isinstance(finished, PlannerFinished)
    assert (finished.valid, finished.attempts) == (False, 4)
    assert engine.open_contexts() == 0


async def test_a_plan_cut_off_by_its_token_limit_is_a_mistake() -> None:
    engine = ScriptedEngine(['a = search("K2")\nb = search("Ararat")\nanswer(a)', "answer(a)"])
    events = await events_of(LLMPlanner(engine, max_tokens=8), task())
    assert [e.message for e in events if isinstance(e, PlannerRejected)] == [
        "the plan was cut off before its end: it is too long"
    ]


async def test_a_babbling_plan_is_given_up() -> None:
    engine = ScriptedEngine("".join(f'a{n} = search("{n}")\n' for n in range(50)))
    with pytest.raises(PlanningError, match="more than 10 statements"):
        await events_of(LLMPlanner(engine, max_statements=10), task())
    assert len(engine.calls) == 1


async def test_a_plan_without_an_answer_is_a_round() -> None:
    engine = ScriptedEngine('a = search("K2")\n')
    events = await events_of(LLMPlanner(engine), task())
    assert isinstance(events[-1], PlannerFinished) and events[-1].valid


async def test_closing_the_plan_stops_the_model_and_tells_the_end() -> None:
    engine = ScriptedEngine(PLAN, chunk="char", delay=0.0005)
    events: list[PlanEvent] = []
    plan = LLMPlanner(engine).start(task(), emit=events.append)
    await anext(plan)
    await plan.aclose()
    await plan.aclose()
    assert plan.error is None
    finished = events[-1]
    assert isinstance(finished, PlannerFinished)
    assert (finished.stopped, finished.valid, finished.statements) == (True, False, 1)
    assert 0 < finished.generated_tokens < 30
    assert engine.open_contexts() == 0


async def test_cancelling_gives_contexts_back() -> None:
    engine = ScriptedEngine(PLAN, chunk="char", delay=0.01)
    planning = asyncio.ensure_future(events_of(LLMPlanner(engine), task()))
    await asyncio.sleep(0.05)
    planning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await planning
    assert engine.open_contexts() == 0


async def test_an_engine_error_passes_and_gives_contexts_back() -> None:
    engine = ScriptedEngine(BudgetExceededError(limit="tokens", scope="x", allowed=1, spent=1, asked=1))
    with pytest.raises(BudgetExceededError):
        await events_of(LLMPlanner(engine), task())
    assert engine.open_contexts() == 0


async def test_the_budget_is_charged() -> None:
    budget = Budget(tokens=100_000)
    await events_of(LLMPlanner(ScriptedEngine(PLAN)), task(budget=budget))
    assert budget.spent["calls"] >= 1 and budget.spent["tokens"] > 0
    with pytest.raises(BudgetExceededError):
        await events_of(LLMPlanner(ScriptedEngine(PLAN)), task(budget=Budget(tokens=10)))


async def test_patches_follow_the_version_of_the_graph() -> None:
    given = task()
    versions: list[int] = []
    async for patch in LLMPlanner(ScriptedEngine(PLAN)).start(given):
        versions.append(patch.base_version)
        given.graph.apply(patch)
        given.graph.apply(GraphPatch(base_version=given.graph.version))
    assert versions == [0, 2, 4, 6]


async def round_one(responses: Sequence[Response], **options: object) -> tuple[ScriptedEngine, RunOutcome]:
    engine = ScriptedEngine(responses, **options)  # pyright: ignore
    planner = LLMPlanner(engine)
    graph = TaskGraph()
    first, _ = await run(planner, task(graph=graph))
    assert not first.answered
    again = task(graph=graph, round=1, feedback="failed: b")
    second, _ = await run(planner, again)
    assert engine.open_contexts() == 0
    return engine, second


async def test_a_later_round_reads_and_rebinds_names() -> None:
    engine, outcome = await round_one(
        [
            'a = search("height of K2")\nb = search("height of nowhere")\n'
            'if a.value > 3:\n    c = search("Ararat")\n'
            'd = calculate(f"{a.value} - {b.value}")\nanswer(d)\n',
            'b = search("height of Mont Blanc")\ne = calculate(f"{a.value} - {b.value}")\n'
            "answer(e, c.title)\n",
        ]
    )
    assert outcome.answered
    first, second = engine.calls
    assert first.messages is not None and second.messages is not None
    root = run_root(task())
    assert list(first.messages[: len(root)]) == root == list(second.messages[: len(root)])
    request = second.messages[-1]["content"]
    assert 'a = search("height of K2")  # ' in request
    assert 'if a.value > 3:\n    c = search("Ararat")  # ' in request
    assert "nothing is known about 'height of nowhere'" in request
    assert "failed: b" in request


async def test_a_later_compact_round_goes_on_from_what_is_done() -> None:
    engine, outcome = await round_one(
        ['a = search("height of K2")\nb = search("nowhere")\n', "answer(a.title)\n"], details=COMPACT
    )
    assert outcome.answer == ("K2",)
    assert engine.prefills[1].endswith('<|plan|>\na = search("height of K2")\n')
    assert engine.calls[1].params.temperature > 0


async def test_an_engine_without_chat_reads_the_same_messages_as_text() -> None:
    engine = ScriptedEngine(PLAN, capabilities=["cut"])
    await events_of(LLMPlanner(engine), task())
    prompt = engine.prefills[0]
    assert prompt.startswith("System: ") and prompt.endswith("Assistant:")
    assert engine.calls[0].params.seed is None
    assert "\n\nUser:" in engine.calls[0].params.stop


@pytest.mark.parametrize("wrong", [{"max_repairs": -1}, {"max_tokens": 0}, {"max_statements": 0}])
def test_limits_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidParamsError):
        LLMPlanner(ScriptedEngine(""), **wrong)  # pyright: ignore


@pytest.mark.parametrize(
    ("plan", "unread"),
    [
        (PLAN, ()),
        ('a = search("K2")\nb = search("Ararat")\nanswer(a.value)\n', ("b",)),
        ('a = search("K2")\nsearch("Ararat")\nanswer(a.value - 2)\n', ('search("Ararat")',)),
        ('a = search("K2")\ndecline("no")\n', ()),
        ('a = search("K2")\n', ()),
        ('a = search("K2")\nif a.value > 3:\n    b = search("Ararat")\nanswer("x")\n', ("b",)),
    ],
)
async def test_a_result_that_nothing_reads_is_pointed_out(plan: str, unread: tuple[str, ...]) -> None:
    given = task()
    stream = LLMPlanner(ScriptedEngine(plan)).start(given, emit=(events := list[PlanEvent]()).append)
    outcome = await run_graph(given.graph, stream, RunContext(tools=plan_tools()))
    assert not outcome.failures
    (finished,) = [event for event in events if isinstance(event, PlannerFinished)]
    assert finished.unread == stream.unread == unread
