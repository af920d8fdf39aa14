"""Canonical forms: names and the order of independent statements make no difference, all else does."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from braid.executors.nodes import Node
from braid.orchestrator.sampled_plans.forms import PlanForm, plan_form
from braid.planner import check_plan
from tests.support.plan_tools import plan_tools

SPECS = plan_tools().specs()
LINES = ('{0} = search("height of K2")', '{1} = search("height of Everest")', '{2} = search("area of Chad")')


def form(text: str) -> PlanForm:
    nodes: list[Node] = check_plan(text, SPECS)
    return plan_form(nodes, is_effect=lambda node: "send" in node.source)


@settings(max_examples=30, deadline=None)
@given(
    order=st.permutations(range(3)),
    names=st.lists(st.from_regex(r"[a-z]{3,8}_[0-9]", fullmatch=True), min_size=4, max_size=4, unique=True),
)
def test_names_and_order_make_no_difference(order: list[int], names: list[str]) -> None:
    def plan(lines: list[int], given: list[str], *, turned: bool = False) -> str:
        looked_up = "\n".join(LINES[place].format(*given) for place in lines)
        first, second = (given[1], given[0]) if turned else (given[0], given[1])
        total = 'calculate(f"{' + first + ".value} - {" + second + '.value}")'
        return f"{looked_up}\n{given[3]} = {total}\nanswer({given[3]}, {given[2]})\n"

    ours, theirs = form(plan([0, 1, 2], ["a", "b", "c", "d"])), form(plan(order, names))
    assert ours.whole == theirs.whole and ours.answer == theirs.answer
    swapped = form(plan(order, names, turned=True))
    assert swapped.whole != ours.whole, "b - a is not a - b"


def test_branches_maps_and_dead_statements_count() -> None:
    texts = [
        'a = search("height of K2")\nanswer(a)\n',
        'a = search("height of K2")\nb = search("height of Everest")\nanswer(a)\n',
        'a = search("height of K2")\nif a.value > 3:\n    answer(a)\nelse:\n    answer("no")\n',
        'a = search("height of K2")\nif a.value > 4:\n    answer(a)\nelse:\n    answer("no")\n',
        'a = [search(f"height of {x}") for x in ["K2"]]\nanswer(a)\n',
        'a = [search(f"height of {x}") for x in ["K2", "K3"]]\nanswer(a)\n',
        "answer(3)\n",
        'answer("3")\n',
        "answer(True)\n",
    ]
    assert len({form(text).whole for text in texts}) == len(texts)
    assert form(texts[0]).answer == form(texts[1]).answer
    renamed = 'h = [search(f"height of {name}") for name in ["K2"]]\nanswer(h)\n'
    assert form(texts[4]).whole == form(renamed).whole
    shuffled = texts[:]
    random.Random(0).shuffle(shuffled)
    assert {form(text).whole for text in shuffled} == {form(text).whole for text in texts}
