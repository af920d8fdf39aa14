"""Families beyond the planning set: their plans give their true answers, in both directions."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pytest

from braid.evals.tasks.planning import matches
from braid.executors import GraphPatch, RunContext, TaskGraph, Tool, ToolRegistry, run_graph
from braid.executors.builtin import builtin_tools, search_tool
from braid.executors.builtin.atlas import Atlas, Entity
from braid.executors.tools import tool
from braid.executors.values.values import short_form
from braid.planner import compile_plan
from braid.training.questions import FAMILIES_BEYOND, Choice, Invented, Toolset, draw, load_atlas, render
from braid.training.questions.world import SameThings


@dataclass(frozen=True)
class Known:
    """A fact about a person."""

    value: float


_WITHOUT_TOOLS = ("refused", "small-talk")


@cache
def tools() -> tuple[Tool, ...]:
    """The built-in tools over the frozen facts. As in today's atlas, buildings have a country."""
    text = (files("braid.evals.tasks") / "planning" / "facts.jsonl").read_text(encoding="utf-8")
    entities = {e.title: e for e in map(Entity.model_validate_json, text.splitlines())}
    for title, entity in entities.items():
        city = entities.get(str(entity.facts["city"][0])) if "city" in entity.facts else None
        if city and "country" in city.facts:
            facts = entity.facts | {"country": city.facts["country"]}
            entities[title] = entity.model_copy(update={"facts": facts})
    atlas = Atlas(entities.values())
    return (search_tool(lambda: atlas), *builtin_tools("calculate", "rank"))


async def run(plan: str, given: tuple[Tool, ...]) -> str:
    """The answer of a plan."""
    registry = ToolRegistry(given)
    graph = TaskGraph()
    nodes, errors = compile_plan(plan, registry.specs())
    assert not errors, errors

    async def patches() -> AsyncIterator[GraphPatch]:
        yield GraphPatch(graph.version, tuple(nodes))

    outcome = await run_graph(graph, patches(), RunContext(tools=registry))
    assert outcome.answer is not None, (plan, outcome.failures)
    return ", ".join(short_form(value) for value in outcome.answer)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("family", [f for f in FAMILIES_BEYOND if f != "lives" and f not in _WITHOUT_TOOLS])
async def test_plans_give_the_true_answers(family: str, held_out: bool) -> None:
    world = load_atlas("train")
    for number in range(12):
        rng = random.Random(f"{family}/{held_out}/{number}")
        drawn = draw(rng, world, held_out=held_out, families={family: FAMILIES_BEYOND[family]})
        plan = render(drawn.program, Toolset())
        answer = await run(plan, tools())
        assert matches(drawn.answer, answer), f"{drawn.question}\n{plan}{answer!r}, not {drawn.answer!r}"
        for name in drawn.entities:
            assert name.casefold() in drawn.question.casefold()


async def test_plans_about_people_give_the_true_answers() -> None:
    done = 0
    for number in range(60):
        try:
            draft = FAMILIES_BEYOND["lives"][0](Choice(random.Random(number)), Invented(), True)
        except LookupError:
            continue
        facts = {f"{noun} of {t.name}": fact for t in draft.things for noun, fact in t.facts.items()}

        @tool(effect="pure")
        def search(query: str, facts: dict[str, tuple[float | str, str]] = facts) -> Known:
            """Look up one fact."""
            return Known(float(facts[query][0]))

        given = (search, *builtin_tools("calculate", "rank"))
        answer = await run(render(draft.program, Toolset()), given)
        assert matches(draft.answer, answer), (draft.question, answer, draft.answer)
        done += 1
    assert done > 20


def test_the_same_two_things_are_asked_in_both_directions() -> None:
    world = load_atlas("train")
    programs: set[str] = set()
    entities: set[frozenset[str]] = set()
    for number in range(60):
        same = SameThings(world, 7)
        family = {"direction": FAMILIES_BEYOND["direction"]}
        drawn = draw(random.Random(number), same, held_out=False, families=family)
        entities.add(frozenset(name.casefold() for name in drawn.entities))
        programs.add(render(drawn.program, Toolset()).casefold())
    assert len(entities) == 1
    calculations = {line for plan in programs for line in plan.splitlines() if line.startswith("c = ")}
    assert 'c = calculate(f"{a.value} - {b.value}")' in calculations
    assert 'c = calculate(f"{b.value} - {a.value}")' in calculations
    assert sum("100 * " in line for line in calculations) > 3


def test_a_refusal_names_what_was_asked_for() -> None:
    reasons: set[str] = set()
    for number in range(80):
        family = {"refused": FAMILIES_BEYOND["refused"]}
        drawn = draw(random.Random(number), load_atlas("train"), held_out=False, families=family)
        (line,) = render(drawn.program, Toolset()).splitlines()
        assert line.startswith('decline("') and " tool" in line
        reasons.add(line)
    assert len(reasons) > 25


def test_word_problems_need_no_look_up() -> None:
    for number in range(60):
        family = {"word-problem": FAMILIES_BEYOND["word-problem"]}
        drawn = draw(random.Random(number), load_atlas("train"), held_out=False, families=family)
        first, last = render(drawn.program, Toolset()).splitlines()
        assert first.startswith('a = calculate("') and last.startswith("answer(")
