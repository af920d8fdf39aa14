"""The Agent through its public face: a scripted model in place of a real one, everything else real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from braid.engine import Budget, EngineURIError, Message, budget
from braid.engine.scripted import ScriptedEngine
from braid.executors import NodeFinished, ThinkText, ToolContext, tool
from braid.executors.scheduler import ToolCallRequest
from braid.orchestrator import (
    Agent,
    ConfigurationError,
    InvalidHistoryError,
    InvalidQuestionError,
    OutputTypeError,
    ReplayError,
    RoundStarted,
    RunFailed,
    RunFinished,
    RunningLoopError,
    RunStarted,
    compare_with_sequential,
)

HEIGHTS = {"K2": 8611.0, "Mont Blanc": 4806.0}
PLAN = """\
a = height("K2")
b = height("Mont Blanc")
d = calculate(f"{a} - {b}")
if d > 1642:
    answer(f"{d} m; yes")
else:
    answer(f"{d} m; no")
"""


@tool
async def height(name: str) -> float:
    """Height of a mountain in metres."""
    await asyncio.sleep(0.01)
    return HEIGHTS[name]


@tool(effect="mutating")
async def send(text: str) -> str:
    """Send a message."""
    return f"sent {text}"


async def test_a_question_is_planned_run_and_answered() -> None:
    engine = ScriptedEngine(PLAN)
    result = await Agent(engine, tools=[height]).run("How much taller is K2 than Mont Blanc?")
    assert result.answer == "3805 m; yes"
    assert result.output == "3805 m; yes"
    assert result.complete and result.rounds == 1
    assert "a = height" in result.plan
    assert result.usage.generated_tokens > 0 and result.usage.prompt_tokens > 0
    assert result.report().work >= 0.02 > 0
    assert {node["state"] for node in result.to_dict()["nodes"]} <= {"done", "skipped", "cancelled"}
    json.dumps(result.to_dict())
    assert engine.open_contexts() == 0


async def test_the_document_of_a_run_has_what_a_program_needs() -> None:
    result = await Agent(ScriptedEngine(PLAN), tools=[height]).run("?")
    document = result.to_dict()
    for key in ("question", "answer", "plan", "nodes", "usage", "report", "engine", "stopped"):
        assert key in document
    first = document["nodes"][0]
    assert first["finished"] >= first["started"] >= 0
    assert first["id"] and first["op"] == "tool" and first["source"] == 'a = height("K2")'


@pytest.mark.parametrize("question", ["", "   \n", None, 7, ["a"]])
async def test_a_question_must_be_text(question: object) -> None:
    with pytest.raises(InvalidQuestionError, match="non-empty text"):
        await Agent(ScriptedEngine("answer(1)"), tools=[]).run(question)  # type: ignore[arg-type]


async def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"max_rounds": 0}, {"max_repairs": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Agent(ScriptedEngine("answer(1)"), tools=[], **wrong)  # type: ignore[arg-type]


async def test_a_plan_without_answer_gets_another_round_that_reads_its_results() -> None:
    engine = ScriptedEngine(['a = height("K2")\n', 'answer(f"{a} m")'])
    result = await Agent(engine, tools=[height]).run("How tall is K2?")
    assert (result.answer, result.rounds) == ("8611 m", 2)
    assert "8611" in engine.calls[1].prompt
    rounds = [e.event for e in result.events if isinstance(e.event, RoundStarted)]
    assert rounds[0].feedback == "" and "without answer" in rounds[1].feedback


async def test_a_failed_tool_is_told_to_the_planner_which_mends_it() -> None:
    engine = ScriptedEngine(['a = height("K3")\nanswer(a)', 'a = height("K2")\nanswer(a)'])
    result = await Agent(engine, tools=[height]).run("How tall is K2?")
    assert (result.output, result.rounds) == (8611.0, 2)
    assert "K3" in engine.calls[1].prompt and "KeyError" in engine.calls[1].prompt


async def test_the_last_round_leaves_a_partial_answer() -> None:
    engine = ScriptedEngine('b = height("Mont Blanc")')
    result = await Agent(
        ScriptedEngine(['a = height("K2")', 'b = height("K9")\nanswer(b)']), tools=[height], max_rounds=2
    ).run("?")
    assert not result.complete and result.stopped == "max_rounds"
    assert "2 rounds" in result.reason and "K9" in result.reason
    assert "8611" in result.answer and result.output is None
    assert result.to_dict()["answer"] is None and "8611" in result.to_dict()["partial"]
    assert all(node["state"] not in ("pending", "blocked") for node in result.to_dict()["nodes"])
    assert engine.open_contexts() == 0


async def test_an_invalid_statement_is_repaired() -> None:
    result = await Agent(
        ScriptedEngine(['a = hight("K2")\nanswer(a)', 'a = height("K2")\nanswer(a)']), tools=[height]
    ).run("?")
    assert result.output == 8611.0


async def test_a_model_that_cannot_plan_ends_the_run_with_a_reason() -> None:
    engine = ScriptedEngine("I would rather not.")
    result = await Agent(engine, tools=[height], max_repairs=1).run("?")
    assert result.stopped == "plan" and result.reason and result.answer == ""
    assert len(engine.calls) == 2
    assert engine.open_contexts() == 0


async def test_what_was_planned_before_the_planner_gave_up_is_run_and_kept() -> None:
    result = await Agent(
        ScriptedEngine('a = height("K2")\nb = nonsense(1)\n'), tools=[height], max_repairs=0, max_rounds=1
    ).run("?")
    assert not result.complete and "8611" in result.answer


@pytest.mark.parametrize(
    ("limit", "word"),
    [(Budget(calls=2), "calls"), (Budget(tokens=3), "tokens"), (Budget(seconds=0.15), "seconds")],
    ids=["calls", "tokens", "seconds"],
)
async def test_a_budget_stops_the_run_with_what_is_known(limit: Budget, word: str) -> None:
    @tool
    async def slow(name: str) -> str:
        await asyncio.sleep(30)
        return name

    engine = ScriptedEngine('a = height("K2")\nb = slow("x")\nc = slow(a)\nanswer(b, c)')
    limit = Budget(tokens=limit.tokens, calls=limit.calls, seconds=limit.seconds)
    result = await Agent(engine, tools=[height, slow]).run("?", budget=limit)
    assert result.stopped == "budget" and word in result.reason
    if word == "seconds":
        assert "8611" in result.answer
    assert engine.open_contexts() == 0


async def test_the_ambient_budget_counts() -> None:
    with budget(calls=1) as scope:
        result = await Agent(ScriptedEngine(PLAN), tools=[height]).run("?")
    assert result.stopped == "budget" and scope.spent["calls"] == 1


class Difference(BaseModel):
    metres: float
    more: bool


async def test_output_type_is_validated_from_the_value() -> None:
    agent = Agent(ScriptedEngine('a = height("K2")\nanswer(a)'), tools=[height], output_type=int)
    result = await agent.run("?")
    assert result.output == 8611 and isinstance(result.output, int)


async def test_output_type_from_json_text_and_from_words() -> None:
    engine = ScriptedEngine('answer("{\\"metres\\": 3, \\"more\\": true}")')
    assert (await Agent(engine, tools=[]).run("?", output_type=Difference)).output == Difference(
        metres=3, more=True
    )
    assert (await Agent(ScriptedEngine('answer("yes")'), tools=[]).run("?", output_type=bool)).output is True
    assert (await Agent(ScriptedEngine("answer(1, 2)"), tools=[]).run("?", output_type=list[int])).output == [
        1,
        2,
    ]
    assert (await Agent(ScriptedEngine("answer(1)"), tools=[]).run("?", output_type=str)).output == "1"


async def test_output_type_is_restated_by_a_chat_model() -> None:
    engine = ScriptedEngine([PLAN, 'Here you are: ```json\n{"metres": 3805, "more": true}\n```'])
    result = await Agent(engine, tools=[height], output_type=Difference).run("How much taller?")
    assert result.output == Difference(metres=3805, more=True)
    assert result.answer == "3805 m; yes"
    assert "metres" in engine.calls[1].prompt and "3805 m; yes" in engine.calls[1].prompt
    assert engine.open_contexts() == 0


async def test_output_that_does_not_fit_says_what_was_got() -> None:
    with pytest.raises(OutputTypeError, match="3805 m; yes"):
        await Agent(ScriptedEngine([PLAN, "I cannot"]), tools=[height]).run("?", output_type=Difference)
    details = {"prompt_style": "compact"}
    mute = ScriptedEngine('answer("blue")', capabilities=["cut"], details=details)
    with pytest.raises(OutputTypeError, match="no chat model"):
        await Agent(mute, tools=[]).run("?", output_type=Literal["red", "green"])


async def test_an_answer_that_does_not_fit_the_output_type_is_not_lost(tmp_path: Path) -> None:
    details = {"prompt_style": "compact"}
    mute = ScriptedEngine(PLAN, capabilities=["cut"], details=details)
    async with Agent(mute, tools=[height], journal=tmp_path / "runs.db") as agent:
        with pytest.raises(OutputTypeError) as caught:
            await agent.run("How much taller is K2 than Mont Blanc?", output_type=Difference)
        assert agent.journal is not None and agent.journal.find("last").status == "failed"
    result = caught.value.result
    assert result is not None and (result.answer, result.output) == ("3805 m; yes", None)
    assert result["a"] == 8611 and "does not fit" in result.reason
    assert isinstance(result.events[-1].event, RunFailed)


async def test_the_planner_is_told_the_output_type() -> None:
    engine = ScriptedEngine(PLAN)
    agent = Agent(engine, tools=[height], instructions="Use metres.", output_type=Difference)
    with pytest.raises(OutputTypeError):
        await agent.run("How much taller?")
    told = engine.calls[0].prompt
    assert "Use metres." in told and '"metres"' in told and '"more"' in told


async def test_dependencies_reach_the_tools() -> None:
    @tool
    def whose(context: ToolContext[dict[str, str]]) -> str:
        return context.deps["user"]

    result = await Agent(ScriptedEngine("a = whose()\nanswer(a)"), tools=[whose]).run(
        "?", deps={"user": "Ada"}
    )
    assert result.answer == "Ada"


async def test_history_goes_from_run_to_run() -> None:
    engine = ScriptedEngine(["answer(1)", "answer(2)"])
    agent = Agent(engine, tools=[])
    first = await agent.run("How old is Ada?")
    second = await agent.run("And Ben?", history=first.history)
    assert "How old is Ada?" in engine.calls[1].prompt
    assert [m["content"] for m in second.history] == ["How old is Ada?", "1", "And Ben?", "2"]
    for wrong in ("text", [{"role": "robot", "content": "x"}], [{"role": "user"}], [3]):
        with pytest.raises(InvalidHistoryError):
            await agent.run("?", history=wrong)  # type: ignore[arg-type]


async def test_instructions_are_told_to_the_planner() -> None:
    engine = ScriptedEngine("answer(1)")
    await Agent(engine, tools=[], instructions="Metric units only.").run("?")
    assert "Metric units only." in engine.calls[0].prompt


async def test_the_plan_is_run_while_it_is_being_written() -> None:
    started = asyncio.Event()

    @tool
    async def early() -> int:
        started.set()
        return 1

    async def plan(prompt: str) -> AsyncIterator[str]:
        yield "a = early()\n"
        async with asyncio.timeout(10):
            await started.wait()  # the model is silent until the node runs
        yield "answer(a)\n"

    assert (await Agent(ScriptedEngine(plan), tools=[early]).run("?")).output == 1


async def test_stream_yields_every_event_in_order() -> None:
    async with Agent(ScriptedEngine(PLAN), tools=[height]).stream("?") as events:
        seen = [envelope async for envelope in events]
    assert [e.seq for e in seen] == list(range(len(seen)))
    assert len({e.run for e in seen}) == 1
    assert isinstance(seen[0].event, RunStarted) and isinstance(seen[-1].event, RunFinished)
    assert events.result.answer == "3805 m; yes"
    assert list(events.result.events) == seen
    assert {"planner.statement", "node.started", "node.finished"} <= {e.event.kind for e in seen}


@pytest.mark.parametrize("how", ["block", "loop", "task"])
async def test_leaving_the_stream_cancels_the_run(how: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def forever() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    async def plan(prompt: str) -> AsyncIterator[str]:
        yield "a = forever()\n"
        await asyncio.Event().wait()

    engine = ScriptedEngine(plan)
    agent = Agent(engine, tools=[forever])

    async def consume() -> None:
        async for envelope in agent.stream("?"):
            if envelope.event.kind == "node.started" and how == "loop":
                await begun.wait()
                return

    async with asyncio.timeout(10):
        if how == "block":
            async with agent.stream("?") as events:
                async for envelope in events:
                    if envelope.event.kind == "node.started":
                        await begun.wait()
                        break
            assert ended.is_set()
            with pytest.raises(RuntimeError, match="not over"):
                _ = events.result
        else:
            task = asyncio.create_task(consume())
            await begun.wait()
            if how == "task":
                task.cancel()
            await asyncio.wait([task])
            await ended.wait()
        await asyncio.sleep(0.05)
    assert engine.open_contexts() == 0


async def test_cancelling_a_run_stops_tools_and_planner() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def forever() -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    engine = ScriptedEngine("a = forever()\nanswer(a)")
    task = asyncio.create_task(Agent(engine, tools=[forever]).run("?"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set() and engine.open_contexts() == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_run_sync_refuses_a_running_loop() -> None:
    with pytest.raises(RunningLoopError, match="await"):
        Agent(ScriptedEngine("answer(1)"), tools=[]).run_sync("?")


def test_run_sync_can_be_called_again() -> None:
    agent = Agent(ScriptedEngine(PLAN), tools=[height])
    assert agent.run_sync("?").answer == agent.run_sync("?").answer == "3805 m; yes"


async def test_an_address_is_opened_only_when_it_is_needed() -> None:
    agent = Agent("nowhere:x", tools=[])
    with pytest.raises(EngineURIError, match="nowhere"):
        await agent.run("?")
    with pytest.raises(InvalidQuestionError):
        await agent.run("")


async def test_mutating_tools_need_approval() -> None:
    asked: list[ToolCallRequest] = []

    async def approve(request: ToolCallRequest) -> bool:
        asked.append(request)
        return True

    plan = 'a = send("hello")\nanswer(a)'
    refused = await Agent(ScriptedEngine(plan), tools=[send], max_rounds=1).run("?")
    assert not refused.complete and "approve" in refused.reason
    allowed = await Agent(ScriptedEngine(plan), tools=[send], approve=approve).run("?")
    assert allowed.answer == "sent hello"
    assert asked[0].tool == "send" and dict(asked[0].args) == {"text": "hello"}


async def test_a_plan_may_ask_the_person() -> None:
    async def person(question: str) -> str:
        return "blue" if "colour" in question else "?"

    plan = 'a = ask("Which colour?")\nanswer(a)'
    assert (await Agent(ScriptedEngine(plan), tools=[], ask=person).run("?")).answer == "blue"


async def test_think_nodes_use_the_same_engine() -> None:
    def model(prompt: str) -> str:
        return 'a = think("Is 3 more than 2?")\nanswer(a)' if "Write the plan" in prompt else "yes"

    engine = ScriptedEngine(model)
    result = await Agent(engine, tools=[]).run("?")
    assert result.answer == "yes"
    assert engine.open_contexts() == 0
    assert result.usage.calls == 2


async def test_the_sequential_run_gives_the_same_answer_one_node_at_a_time() -> None:
    running, most = 0, 0

    @tool
    async def counted(x: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return x

    plan = "xs = [counted(i) for i in [1, 2, 3, 4]]\nanswer(xs)"
    agent = Agent(ScriptedEngine(plan), tools=[counted])
    assert (await agent.run("?")).output == [1, 2, 3, 4] and most > 1
    most = 0
    assert (await agent.run("?", sequential=True)).output == [1, 2, 3, 4] and most == 1


async def test_a_finished_plan_is_compared_with_its_sequential_self() -> None:
    engine = ScriptedEngine(
        ['a = height("K9")\nxs = [height(n) for n in ["K2", "Mont Blanc"]]\n', PLAN.replace("d >", "xs[0] >")]
    )
    agent = Agent(engine, tools=[height])
    result = await agent.run("?")
    comparison = await compare_with_sequential(agent, result)
    assert comparison.one_by_one > 0 and comparison.side_by_side == result.seconds
    assert comparison.speedup == pytest.approx(comparison.sequential / comparison.side_by_side)
    assert len(engine.calls) == 2  # the plan is not written again


async def test_a_plan_that_changes_things_is_not_run_again() -> None:
    async def approve(request: ToolCallRequest) -> bool:
        return True

    agent = Agent(ScriptedEngine('a = send("x")\nanswer(a)'), tools=[send], approve=approve)
    with pytest.raises(ReplayError, match="send"):
        await compare_with_sequential(agent, await agent.run("?"))


async def test_text_with_references_in_it_stays_data() -> None:
    nasty = 'cost $1, {a.value}, "quotes"\nand ${2} a = answer(0)'

    @tool
    def quote() -> str:
        return nasty

    plan = 'a = quote()\nb = calculate("1 + 1")\nanswer(f"{a} {b}", a)'
    result = await Agent(ScriptedEngine(plan), tools=[quote]).run(f"What about {nasty}?")
    assert result.output == (f"{nasty} 2", nasty)


async def test_a_plan_that_its_answer_cuts_short_is_still_reported() -> None:
    async def plan(prompt: str) -> AsyncIterator[str]:
        yield 'a = height("K2")\nif a > 8000:\n    answer("high")\nelse:\n'
        await asyncio.Event().wait()  # would go on for ever

    engine = ScriptedEngine(plan)
    async with asyncio.timeout(10):
        result = await Agent(engine, tools=[height]).run("Is K2 high?")
    assert result.answer == "high"
    assert result.plan.splitlines() == ['a = height("K2")', "if a > 8000:", '    answer("high")']
    assert result.usage.prompt_tokens > 100 and result.usage.generated_tokens > 5
    assert result.planning_seconds > 0 and engine.open_contexts() == 0


async def test_many_runs_at_once_share_one_agent() -> None:
    agent = Agent(ScriptedEngine(PLAN), tools=[height])
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(agent.run(f"question {i}")) for i in range(20)]
    assert {run.result().answer for run in runs} == {"3805 m; yes"}
    assert [run.result().question for run in runs] == [f"question {i}" for i in range(20)]


async def test_a_failing_engine_raises_its_error_and_tells_the_stream() -> None:
    broken = ScriptedEngine([EngineURIError("no such model")])
    kinds: list[str] = []
    with pytest.raises(EngineURIError):
        async for envelope in Agent(broken, tools=[]).stream("?"):
            kinds.append(envelope.event.kind)
    assert kinds[-1] == "run.failed" and broken.open_contexts() == 0


def test_history_messages_are_copied() -> None:
    message: Message = {"role": "user", "content": "x"}
    result = Agent(ScriptedEngine("answer(1)"), tools=[]).run_sync("?", history=[message])
    message["content"] = "changed"
    assert result.history[0]["content"] == "x"


async def test_values_are_read_by_their_names_in_the_plan() -> None:
    plan = 'xs = [calculate(f"{i} + 1") for i in [1, 2]]\na = height("K2")\nb = height("K3")\nanswer(a)\n'
    result = await Agent(ScriptedEngine(plan), tools=[height], replan=None).run("?")
    assert result["a"] == 8611.0 and result["xs"] == [2, 3]
    result["xs"].append(4)
    assert result["xs"] == [2, 3], "a copy"
    for name in ("b", "nothing", ""):
        with pytest.raises(KeyError, match="there are: xs, a"):
            result[name]
    nothing = await Agent(ScriptedEngine("answer(1)"), tools=[]).run("?")
    with pytest.raises(KeyError, match="none"):
        nothing["a"]


async def test_a_run_draws_its_graph() -> None:
    result = await Agent(ScriptedEngine('a = height("K2")\nanswer(a)\n'), tools=[height]).run("?")
    assert "n0 --> n1" in result.diagram() and "n0 -> n1;" in result.diagram("dot")


@pytest.mark.parametrize(
    "given", [{"temperature": 0.4}, {"max_tokens": 77}, {"temperature": 1.5, "max_tokens": 9}]
)
async def test_settings_of_the_model_hold_for_plans_thoughts_and_direct_answers(
    given: dict[str, Any],
) -> None:
    plan = 'a = think("x")\nb = think("x", temperature=0.9, max_tokens=30)\nanswer(a, b)\n'
    engine = ScriptedEngine([plan, "yes", "yes", "A poem."], chunk="whole")
    agent = Agent(engine, tools=[], **given)
    if given.get("max_tokens") != 9:
        await agent.run("Which is it?")
        planned, first, second = (call.params for call in engine.calls)
        for params in (planned, first):
            assert {name: getattr(params, name) for name in given} == given
        assert (second.temperature, second.max_tokens) == (0.9, 30)
    engine = ScriptedEngine("A poem.")
    await Agent(engine, tools=[], **given).run("Write a poem about the sea.")
    assert {name: getattr(engine.calls[0].params, name) for name in given} == given


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"max_tokens": 0}])
def test_settings_of_the_model_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Agent(ScriptedEngine("answer(1)"), tools=[], **wrong)


@pytest.mark.parametrize(
    ("thought", "answer"),
    [("The height is high.", "The height is high"), ("So \\boxed{yes}", "yes"), ("上 é", "上 é"), ("", "")],
)
async def test_a_thought_is_streamed_as_it_is_written(thought: str, answer: str) -> None:
    plan = 'a = think("x")\nb = think("y", n=3)\nanswer(f"{a}")\n'
    engine = ScriptedEngine([plan, thought, "no"], delay=0.001)
    seen: list[ThinkText | NodeFinished] = []
    async with Agent(engine, tools=[], shortcuts=False).stream("Which is it?") as run:
        async for envelope in run:
            if isinstance(envelope.event, ThinkText | NodeFinished):
                seen.append(envelope.event)
    pieces = [event for event in seen if isinstance(event, ThinkText)]
    assert "".join(event.text for event in pieces) == thought and {event.node for event in pieces} <= {"a"}
    assert run.result["a"].answer == answer
    if pieces:
        ended = next(p for p, e in enumerate(seen) if isinstance(e, NodeFinished) and e.node == "a")
        assert ended > seen.index(pieces[-1])
    assert engine.open_contexts() == 0
    alone = ScriptedEngine([plan, thought, "no"])
    silent = await Agent(alone, tools=[], shortcuts=False).run("Which is it?")
    assert silent["a"].answer == answer and silent.usage == run.result.usage
    assert not any(isinstance(envelope.event, ThinkText) for envelope in silent.events)
