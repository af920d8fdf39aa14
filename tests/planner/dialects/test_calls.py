"""Calls of tools in the text of a chat: every form, in any chunking, and what passes as it is."""

from __future__ import annotations

import json

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.executors import RunContext, RunOutcome, TaskGraph, run_graph
from braid.planner import LLMPlanner, PlanError, PlanTask
from braid.planner.dialects import calls_in, without_thoughts
from braid.planner.reader import PlanReader
from tests.support.plan_tools import plan_tools

K2 = {"query": "K2"}
ARARAT = {"query": "Ararat"}
TWO = ['call1 = search(query="K2")', 'call2 = search(query="Ararat")']


def call(arguments: object, name: str = "search") -> str:
    return json.dumps({"name": name, "arguments": arguments})


def statements(text: str, size: int) -> list[str]:
    task = PlanTask(question="?", tools=plan_tools().specs())
    reader = PlanReader(task, dialects=True)
    reader.begin()
    found = [each for start in range(0, len(text), size) for each in reader.feed(text[start : start + size])]
    return [each.statement.source for each in [*found, *reader.finish()]]


OPENAI = [
    {"id": "1", "type": "function", "function": {"name": "search", "arguments": json.dumps(given)}}
    for given in (K2, ARARAT)
]
HERMES = f"<tool_call>\n{call(K2)}\n</tool_call>\n<tool_call>\n{call(ARARAT)}\n</tool_call>"
TWO_CALLS = [
    HERMES,
    f"I will look both up.\n\n{HERMES}\n",
    f"<tool_call>{call(K2)}</tool_call><tool_call>{call(ARARAT)}",
    f"[TOOL_CALLS] [{call(K2)}, {call(ARARAT)}]</s>",
    f"[TOOL_CALLS]search[ARGS]{json.dumps(K2)}[TOOL_CALLS]search[ARGS]{json.dumps(ARARAT)}",
    f"[TOOL_CALLS]search{json.dumps(K2)}[TOOL_CALLS]search[CALL_ID]a1[ARGS]{json.dumps(ARARAT)}",
    '[search(query="K2"), search(query="Ararat")]',
    '<|python_tag|>[search(query="K2"),\n  search(query="Ararat")]<|eom_id|>',
    f"<|python_tag|>{call(K2).replace('arguments', 'parameters')}; {call(ARARAT)}",
    f"```json\n{json.dumps(OPENAI, indent=2)}\n```\nThese are the calls.",
    f"```\n[\n{call(K2)},\n{call(ARARAT)}\n]\n```",
    f"```json\n{call(K2)}\n```\nand then\n```json\n{call(ARARAT)}\n```",
    json.dumps({"tool_calls": OPENAI}),
    f"```json\n[{{'tool': 'search', 'args': {K2}}}, {{'action': 'search', 'action_input': {ARARAT}}}]\n```",
    f"<think>Both, then.\nanswer(1)\n</think>\n{HERMES}",
    f"```python\n# both\n{TWO[0]}\n{TWO[1]}\n```",
]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("text", TWO_CALLS)
def test_each_form_is_read_in_any_chunking(text: str, size: int) -> None:
    assert statements(text, size) == TWO


@pytest.mark.parametrize("size", [1, 5, 10_000])
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('[search(x) for x in ["K2"]]\nanswer(1)\n', ['[search(x) for x in ["K2"]]', "answer(1)"]),
        (
            "[\n  search(x)\n  for x in ['K2']\n]\nanswer(1)",
            ["[\n  search(x)\n  for x in ['K2']\n]", "answer(1)"],
        ),
        (f"a = search('K2')\nanswer('''x\n{HERMES}''')", ["a = search('K2')", f"answer('''x\n{HERMES}''')"]),
        (call({"value": 'It is "x"'}, "answer"), ['answer("It is \\"x\\"")']),
        (call({"query": "a ] } \\ \" ' [ {"}), ['call1 = search(query="a ] } \\\\ \\" \' [ {")']),
        (f"{call(K2)}\n{call(K2)}", [TWO[0]] * 2),
    ],
)
def test_a_plan_is_a_plan_and_a_value_is_a_value(text: str, read: list[str], size: int) -> None:
    if text.count(call(K2)) == 2:
        with pytest.raises(PlanError, match="already bound"):
            statements(text, size)
    else:
        assert statements(text, size) == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('```json\n{"height": 8611}\n```', "answer"),
        ('{"name": "K2"}', "no statement of a plan"),
        (f"<tool_call>\n{call(K2)[:-5]}", "no statement of a plan"),
        (f"{call(K2)}\n{call(ARARAT)[:-5]}", "not closed"),
        (call(K2, "serch"), "no tool `serch`"),
        (call({"qery": "K2"}), "no argument `qery`"),
    ],
)
def test_what_is_no_call_is_a_mistake(text: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        statements(text, 4)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "block", ["[" * 100_000, "[1, 2]", "[]", "{}", '{"name": 1, "arguments": {}}', "[f(1), 2]", "[a.f(1)]"]
)
def test_other_blocks_hold_no_calls(block: str) -> None:
    assert calls_in(block) is None


def test_long_texts_are_read_in_linear_time() -> None:
    long = json.dumps({"name": "search", "arguments": {"query": "x\\n" * 4_000}})
    (text,) = statements(long, 64)
    assert len(text) > 8_000


async def rounds(*texts: str) -> tuple[ScriptedEngine, list[RunOutcome]]:
    engine, graph, outcomes = ScriptedEngine([*texts]), TaskGraph(), list[RunOutcome]()
    for number in range(len(texts)):
        task = PlanTask(
            question="?", tools=plan_tools().specs(), graph=graph, round=number, feedback="no answer" * number
        )
        plan = LLMPlanner(engine, max_repairs=0).start(task)
        outcomes.append(await run_graph(graph, plan, RunContext(tools=plan_tools())))
    assert engine.open_contexts() == 0
    return engine, outcomes


@pytest.mark.parametrize("text", TWO_CALLS)
async def test_the_next_round_reads_the_results_and_answers_in_words(text: str) -> None:
    engine, (first, second) = await rounds(text, "K2 is 8611 m high,\nand Ararat (5137 m) is lower.")
    assert not first.answered
    assert second.answer == ("K2 is 8611 m high,\nand Ararat (5137 m) is lower.",)
    messages = engine.calls[1].messages
    assert messages is not None and f"{TWO[0]}  # " in messages[-1]["content"]


async def test_the_next_round_may_answer_with_a_plan_or_call_again() -> None:
    _, outcomes = await rounds(
        HERMES, f"<tool_call>{call({'query': 'Mont Blanc'})}</tool_call>", "answer(call1.value - call3.value)"
    )
    assert outcomes[-1].failures or outcomes[-1].answer == (3805,)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            'a = search("K2")\nb = search(f"{a.title} x")\n',
            "K2 is 8611 m high.",
        ),  # a plan, so plans are known
        (HERMES, "```\nK2 is 8611 m high.\n```"),
        (HERMES, "<think>hm</think>"),
    ],
)
async def test_other_words_are_no_answer(first: str, second: str) -> None:
    _, outcomes = await rounds(first, second)
    assert not outcomes[-1].answered


async def test_words_in_the_first_round_are_no_answer() -> None:
    _, outcomes = await rounds("K2 is 8611 m high.")
    assert not outcomes[-1].answered


def test_thoughts_are_taken_out_of_an_answer() -> None:
    assert without_thoughts("<think>a\nb</think>\nIt is 5.") == "It is 5."
    assert without_thoughts("It is 5.<think>and so") == "It is 5."
