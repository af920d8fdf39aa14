"""Questions of which code writes the plan, with the answers of these plans."""

from __future__ import annotations

import re
import time

import pytest

from braid.engine.scripted import ScriptedEngine
from braid.evals.tasks.planning_data import SPLITS, Question, questions
from braid.executors.builtin import builtin_tools
from braid.orchestrator import Agent, RunResult
from braid.planner.follow_up import Turn
from braid.planner.lookups import lookup_plan

READ = {
    "Which is higher, K2 or Mont Blanc?": "K2 (K2 8611 m, Mont Blanc 4806 m)",
    "who has more people iceland or malta": "Malta (",
    "what's longer: Nile, Amazon or Yangtze": "Nile (Nile 6650 km, Amazon River",
    "which is higer, mont blnac or kilimanjaro": "Mount Kilimanjaro (",
    "K2 or Everest, which is higher?": "Mount Everest (",
    "which is bigger georgia or armenia": "Georgia (Georgia 69700 km2",
    "which is bigger georgia or florida": "Florida (Georgia (U.S. state)",
    "Which planet has more moons, Mars or Jupiter?": "Jupiter (Mars 2, Jupiter",
    "Which was built first, the Eiffel Tower or the Empire State Building?": "Eiffel Tower (",
    "is the Danube longer than the Rhine? by how many km?": "yes, by 1620 km (Danube 2850 km, Rhine 1230 km)",
    "Is Etna higher than Fuji": "no (Mount Etna 3357 m, Mount Fuji 3776 m)",
    "Is K2 higher than 28000 feet?": "yes (K2 8611 m)",
    "how much taller is the Eiffel Tower than Big Ben": "234 m (Eiffel Tower 330 m, Big Ben 96 m)",
    "how much taller is Big Ben than the Eiffel Tower": "234 m, but the other way round (",
    "how much deeper is Lake Baikal than Lake Superior in feet": "4055.1 feet (",
    "How much bigger is France than Spain, in square km?": "134687 km2 (",
    "what's the height difference between everest and k2": "238 m (",
    "how many Belgiums would fit into Brazil?": "278.95 (by area, Brazil 8515767 km2, Belgium 30528 km2)",
    "how many times heavier is a blue whale than an african elephant": "21.667 (",
    "combined area of Spain and Portugal in square miles": "230921 square miles (",
    "If you put Mont Blanc, the Matterhorn and Kilimanjaro on top of each other, how high would that be in total?": "15179 m (",
    "What is the mean height of K2 and Everest": "8730 m (",
    "rank by height: Denali, Aconcagua, Elbrus, Mount Cook": "Aconcagua (6961 m), Denali (6190 m), Mount Elbrus (5642 m), Aoraki / Mount Cook (3724 m)",
    "order Peru, Chile, Brazil from smallest to largest": "Chile (756102 km2), Peru (",
    "List these mountains from highest to lowest: Denali, K2, Elbrus": "K2 (8611 m), Denali (",
    "how high are K2 and Mont Blanc": "K2: 8611 m, Mont Blanc: 4806 m",
    "What are the capitals of France, Germany and Italy?": "France: Paris, Germany: Berlin, Italy: Rome",
    "Name the capital and currency of Peru": "capital: Lima, currency: sol",
    "When was the Eiffel Tower built and how tall is it?": "1889, 330 m",
    "which of K2, Mont Blanc, Elbrus is above 5000 m": "K2 (8611 m), Mount Elbrus (5642 m)",
    "which of K2, Mont Blanc, Elbrus is above 9000 m": "none of them (",
    "How many of Denali, K2 and Elbrus are over 20000 feet?": "2 (",
    "is Sydney the capital of Australia?": "no, the capital of Australia is Canberra",
    "isn't Sydney the capital of Australia? I'm pretty sure it is": "no, the capital of Australia is Canberra",
    "isn't Canberra the capital of Australia": "yes",
    "does Peru border Chile?": "yes: the neighbours of Peru are",
    "Does Germany share a border with Italy?": "no, the neighbours of Germany are",
    "is K2 in China?": "yes: the location of K2 is Pakistan and China",
    "was the Eiffel Tower built in 1889?": "yes (",
    "does peru use the euro": "no, the currency of Peru is sol",
    "Do people in Brazil speak Spanish?": "not officially, the official language of Brazil is Portuguese",
    "Sort Lima, Paris, Rome by number of inhabitants, smallest first": "Paris (",
    "Is Mount Elbrus the highest mountain in Europe?": "yes (height",
    "how high is Everest in feet": "29032 feet (Mount Everest 8849 m)",
    "melting point of gold in fahrenheit": "1947.6 fahrenheit (gold 1064.2 °C)",
    "how long is a year on Neptune in years": "164.79 years (Neptune 60190 days)",
    "population of the capital of France": "2138551 people (Paris)",
    "how high is the highest mountain in Africa": "5895 m",
    "what is the population density of Belgium": "392.35 people per km2 (",
    "how old is the Eiffel tower": "1",
    "How high\tis\nK2?": "8611 m",
    "Of Rome, Madrid, Vienna, Lisbon, Athens and Warsaw, which city has the smallest population?": "Lisbon (Rome",
    "K2": "K2 (mountain): height 8611 m; location",
    "tell me about K2": "K2 (mountain): height 8611 m; location",
}

LEFT = (
    "Is Russia in Asia?",
    "Is the Nile in Kenya?",
    "Which is taller, the Statue of Liberty with pedestal or Big Ben?",
    "Is London bigger than Paris in 1900?",
    "is Alaska larger than Texas and California combined",
    "Is the capital of France bigger than the capital of Germany?",
    "what is half the height of K2",
    "which is longer the nile or mount everest",
    "is Paris bigger than Foobarland",
    "Is K2 higher than 8000 kg?",
    "how many Earths fit into Jupiter",
    "combined melting point of gold and silver",
    "Suppose the Danube were 12% longer. Is it longer than the Volga?",
    "What number of people does the continent of the United States have?",
    "Kyrgyzstan's continent has what surface area?",
    "Which is nicer, Peru or Chile?",
    "which is higher, K2 or the moon in a poem",
    "Is Lisbon the capital of Spain or Portugal?",
    "difference in height between K2 and Everest in kilograms",
)


async def answer_of(plan: str) -> str:
    result: RunResult[object] = await Agent(
        ScriptedEngine([plan]), tools=builtin_tools("search", "calculate", "rank", "now"), shortcuts=False
    ).run("x")
    return result.answer


@pytest.mark.parametrize(("question", "answer"), READ.items())
async def test_a_question_that_every_word_explains_has_a_plan(question: str, answer: str) -> None:
    plan = lookup_plan(question)
    assert plan
    assert (await answer_of(plan)).startswith(answer)


@pytest.mark.parametrize("question", LEFT)
def test_a_question_with_a_word_too_many_is_left_to_the_model(question: str) -> None:
    assert lookup_plan(question) == ""


@pytest.mark.parametrize(
    ("question", "value", "unit"),
    [
        ("Which is higher, K2 or Mont Blanc?", "K2", ""),
        ("how much taller is the Eiffel Tower than Big Ben", 234, "m"),
        ("how many Belgiums would fit into Brazil?", 278.95, ""),
        ("how high is Everest in feet", 29032, "feet"),
        ("population of the capital of France", 2138551, "people"),
    ],
)
async def test_the_turn_has_the_value_without_the_remark(question: str, value: object, unit: str) -> None:
    engine = ScriptedEngine([], details={"prompt_style": "compact"})
    result = await Agent(engine, tools=builtin_tools("search", "calculate", "rank", "now")).run(question)
    turn: Turn = getattr(result.history, "turns")[-1]  # noqa: B009
    assert (turn.value, turn.unit) == (value, unit)
    assert turn.lookups and result.usage.generated_tokens == 0


def test_an_answer_with_a_remark_is_not_planned_where_it_may_not_be_said() -> None:
    assert lookup_plan("how much taller is the Eiffel Tower than Big Ben", remarks=False) == ""
    assert lookup_plan("Mercury", remarks=False) == ""
    assert lookup_plan("height of Big Ben", remarks=False)


def test_a_plan_calls_no_tool_that_is_not_there() -> None:
    assert lookup_plan("Which is higher, K2 or Mont Blanc?", ("search", "calculate")) == ""
    assert lookup_plan("capital of Peru", ("search",))


async def test_an_ambiguous_name_alone_is_told_in_all_its_meanings() -> None:
    answer = await answer_of(lookup_plan("Mercury"))
    assert "Mercury (planet)" in answer and "mercury (element)" in answer


def test_a_question_is_read_at_once() -> None:
    lookup_plan("capital of Peru")
    spent: list[float] = []
    for question in (*READ, *LEFT):
        begin = time.perf_counter()
        lookup_plan(question)
        spent.append(time.perf_counter() - begin)
    assert sorted(spent)[len(spent) // 2] < 0.05


def agrees(mine: str, reference: str) -> bool:
    """Whether an answer says what the reference's answer says: the same names, or the same number."""
    names = re.split(r"; |, ", reference.casefold())
    if all(name in mine.casefold() for name in names):
        return True
    one, other = (re.findall(r"-?\d[\d.]*(?:e[+-]?\d+)?", text) for text in (mine, reference))
    return bool(one and other) and abs(float(one[0]) - float(other[0])) <= 1e-3 * abs(float(other[0]))


def planned() -> list[tuple[Question, str]]:
    rows = [row for split in SPLITS for row in questions(split)]
    return [(row, plan) for row in rows if (plan := lookup_plan(row.question))]


async def test_plans_agree_with_the_reference_plans_of_the_benchmark() -> None:
    rows = planned()
    assert len(rows) > 100
    different: list[str] = []
    for row, plan in rows:
        mine, reference = await answer_of(plan), await answer_of(row.plan)
        if not agrees(mine, reference):
            different.append(f"{row.question}: {mine!r}, the reference has {reference!r}")
    assert not different
