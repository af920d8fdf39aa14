"""Thoughts before a lone `</think>`: their drafts do not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from braid.engine.local import LocalEngine
from braid.engine.scripted import ScriptedEngine
from braid.executors import RunContext, ToolRegistry, run_graph, tool
from braid.planner import LLMPlanner, PartialPlan, PlanningError, PlanTask
from braid.planner.dialects import opened_thoughts
from tests.support.calling_model import build_calling_model

DRAFT = 'a = search("height of K2")\nbook("K2")\nanswer(a)\n'
PLAN = 'a = search("height of Ararat")\nanswer(a)\n'


async def run(
    text: str, chunk: int | str = "word", written: PartialPlan | None = None
) -> tuple[object, list[str]]:
    made: list[str] = []

    @tool
    def search(query: str) -> str:
        """Look up one fact."""
        made.append(query)
        return query

    @tool(effect="mutating")
    def book(name: str) -> str:
        """Book a trip."""
        made.append(f"book {name}")
        return name

    tools = ToolRegistry([search, book])
    task = PlanTask(question="?", tools=tools.specs(), written=written)
    engine = ScriptedEngine([text], chunk=chunk)  # pyright: ignore
    plan = LLMPlanner(engine, max_repairs=0).start(task)
    outcome = await run_graph(task.graph, plan, RunContext(tools=tools))
    assert engine.open_contexts() == 0
    return outcome.answer, made


@pytest.mark.parametrize("chunk", ["char", "word", "whole", 13])
@pytest.mark.parametrize(
    "text",
    [
        f"Okay, maybe so:\n{DRAFT}Hm, no.\n</think>\n\n{PLAN}",
        f"Okay.\n```\n{DRAFT}```\nNo.</think>```\n{PLAN}```\n",
        f"Okay, the user wants\r\n{DRAFT}\r\n</thinking>{PLAN}",
        f"<think>\n{DRAFT}</think>{PLAN}",
        f"</think>\n{PLAN}",
        f"Okay.\n</think>\n{PLAN}",
    ],
)
async def test_a_draft_in_thoughts_never_runs(text: str, chunk: str | int) -> None:
    assert await run(text, chunk) == (("height of Ararat",), ["height of Ararat"])


@pytest.mark.parametrize("chunk", ["char", "whole"])
async def test_a_draft_that_has_answered_is_the_plan(chunk: str) -> None:
    assert await run(f"{PLAN}</think>\n{PLAN}{PLAN}", chunk) == (("height of Ararat",), ["height of Ararat"])


async def test_a_plan_behind_a_draft_that_was_already_running_goes_on_with_it() -> None:
    text = 'a = search("height of K2")\n</think>\na = search("height of K2")\nanswer(a)\n'
    assert await run(text, "char") == (("height of K2",), ["height of K2"])


async def test_a_resumed_plan_reads_the_same() -> None:
    text = f"Okay, maybe so:\n{DRAFT}Hm, no.\n</think>\n\n{PLAN}"
    assert await run("", written=PartialPlan(attempts=[(text, False)])) == (
        ("height of Ararat",),
        ["height of Ararat"],
    )


@pytest.mark.parametrize("text", [f"Here is the plan:\n{PLAN}", f"Sure!\n```\n{PLAN}```\nDone."])
async def test_a_plan_behind_prose_runs_when_the_text_has_ended(text: str) -> None:
    assert await run(text) == (("height of Ararat",), ["height of Ararat"])


async def test_thoughts_that_do_not_end_are_no_plan() -> None:
    assert await run(f"<think>\n{DRAFT}") == (None, [])


async def test_a_local_engine_knows_that_its_template_opens_thoughts(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(build_calling_model(tmp_path))
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}Answer: <think>\n"
    tokenizer.save_pretrained(tmp_path)
    async with await LocalEngine.load(tmp_path, threads=1) as engine:
        with pytest.raises(PlanningError) as caught:
            planner = LLMPlanner(engine, max_tokens=3, max_repairs=1)
            async for _ in planner.plan(PlanTask(question="?", prompt="short")):
                pass
        assert engine.open_contexts() == 0
    assert [text[:8] for text in caught.value.text.split("\n\n")] == ["<think>\n"] * 2


@pytest.mark.parametrize(
    ("prompt", "opening"),
    [("<|assistant|>\n<think>\n", "<think>\n"), ("<think>\n\n</think>\n\n", ""), ("Assistant:", "")],
)
def test_the_opening_that_a_template_writes_is_seen(prompt: str, opening: str) -> None:
    assert opened_thoughts(prompt) == opening
