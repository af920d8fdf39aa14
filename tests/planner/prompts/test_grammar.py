"""The plan language as a grammar.

It takes every plan that the embedded model is taught. It refuses what cannot be right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from braid.engine import Grammar, SamplingParams
from braid.engine.local import LocalEngine
from braid.executors.tools import ToolSpec
from braid.planner import LLMPlanner, PlannerText, PlanningError, PlanTask
from braid.planner.language import PlanParser, Statement
from braid.planner.prompts import STOP, compact_prompt, plan_grammar
from braid.training.planner_model.examples import Mixture, draw_example
from braid.training.questions import generate
from braid.training.questions.tools import builtin_toolbox
from tests.support.tiny_models import build_model, build_tokenizer

pytest.importorskip("llguidance")

QUESTION = "How much taller is K2 than Mont Blanc, and is it more than 97.5 % of Denali's height?"


class Judge:
    """Says how far a plan follows its grammar."""

    def __init__(self) -> None:
        from llguidance import LLMatcher
        from llguidance.hf import from_tokenizer

        self._tokenizer: Any = build_tokenizer()
        self._tokens = from_tokenizer(self._tokenizer)
        self._matcher: Any = LLMatcher

    def accepted(self, grammar: Grammar, plan: str) -> tuple[bool, str]:
        """Whether all of `plan` and then the end is allowed, and the text up to where it is not."""
        matcher = self._matcher(self._tokens, self._matcher.grammar_from_lark(grammar.source), log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        ids = [*self._tokenizer.encode(plan, add_special_tokens=False), self._tokenizer.eos_token_id]
        count = matcher.validate_tokens(ids)
        return count == len(ids), str(self._tokenizer.decode(ids[:count]))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def builtin() -> list[ToolSpec]:
    return builtin_toolbox()


@pytest.mark.parametrize("split", ["train", "heldout-templates", "heldout-entities", "heldout"])
def test_every_reference_plan_of_the_planning_set_is_allowed(
    judge: Judge, builtin: list[ToolSpec], split: Any
) -> None:
    for sample in generate(split, 80, seed=11):
        ok, read = judge.accepted(plan_grammar(builtin, names_from=sample.question), sample.plan)
        assert ok, f"{sample.question}\n{sample.plan}\nrefused behind:\n{read}"


@pytest.mark.parametrize("held_out", [False, True])
def test_every_training_plan_for_random_tools_is_allowed(
    judge: Judge, held_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Sequence[ToolSpec], str]] = []

    def listen(question: str, tools: Sequence[ToolSpec], *, plan_so_far: str = "") -> str:
        asked.append((question, tools, plan_so_far))
        return compact_prompt(question, tools, plan_so_far=plan_so_far)

    monkeypatch.setattr("braid.training.planner_model.examples.compact_prompt", listen)
    for index in range(130):
        example = draw_example(random.Random(f"grammar/{index}"), Mixture(errands=0.15), held_out=held_out)
        question, tools, before = asked[-1]
        if example.prompt != compact_prompt(question, tools, plan_so_far=before):
            question, tools, before = asked[-2]
        plan = example.plan.removesuffix(STOP)
        ok, read = judge.accepted(plan_grammar(tools, names_from=question, plan_so_far=before), plan)
        assert ok, f"{example.prompt}{plan}\nrefused behind:\n{read}"


def test_a_plan_may_be_gone_on_with_behind_any_line(judge: Judge, builtin: list[ToolSpec]) -> None:
    for sample in generate("heldout", 12, seed=5):
        lines = sample.plan.splitlines(keepends=True)
        for cut in range(1, len(lines)):
            before, rest = "".join(lines[:cut]), "".join(lines[cut:])
            grammar = plan_grammar(builtin, names_from=sample.question, plan_so_far=before)
            ok, read = judge.accepted(grammar, rest)
            assert ok, f"{before}-----\n{rest}\nrefused behind:\n{read}"


LOOKUPS = 'a = search("height of K2")\nb = search("height of Mont Blanc")\n'


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        ('a = search("height of K3")\n', "3"),
        ('a = search("height of Mont Blan")\n', '"'),
        ('a = find("height of K2")\n', "find"),
        ('b = search("height of K2")\n', "b"),
        (LOOKUPS + 'c = calculate(f"{a.value} - {c.value}")\n', "c.value"),
        (LOOKUPS + 'c = calculate(f"{a.value} - {b.size}")\n', "ize"),
        (LOOKUPS + 'c = calculate(f"({a.value} - {b.value}")\n', '"'),
        (LOOKUPS + 'c = rank(["K2", "Mont Blanc"], [a.value, b.value], "up")\n', "up"),
        (LOOKUPS + 'c = rank(["K2", "Mont Blank"], [a.value, b.value], "descending")\n', "k"),
        (LOOKUPS + 'if a.value > b.value:\n    answer("K2")\nanswer("Mont Blanc")\n', "answer"),
        (LOOKUPS + 'c = join([a, b], policy="first")\n', "join"),  # the model was never trained on it
        (LOOKUPS + "answer(c)\n", "c"),
        (LOOKUPS + 'answer("K2")\nanswer("K2")\n', "answer"),
    ],
)
def test_what_cannot_be_right_cannot_be_written(
    judge: Judge, builtin: list[ToolSpec], plan: str, wrong: str
) -> None:
    ok, read = judge.accepted(plan_grammar(builtin, names_from=QUESTION), plan)
    assert not ok
    assert len(read) <= plan.rindex(wrong), f"allowed as far as {read!r}"


TOOLS = [
    ToolSpec(
        name="convert",
        description="",
        parameters={
            "type": "object",
            "properties": {
                "amount": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "mode": {"$ref": "#/$defs/Mode"},
                "exact": {"type": "boolean", "default": False},
                "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            },
            "required": ["amount", "mode"],
            "$defs": {"Mode": {"enum": ['a "b"', 2, None]}},
        },
        returns={
            "$ref": "#/$defs/R",
            "$defs": {"R": {"type": "object", "properties": {"sum": {}, "note": {}}}},
        },
    ),
    ToolSpec(name="now", description="", parameters={"type": "object", "properties": {}}),
    ToolSpec(
        name="anything", description="", parameters={"properties": {"x": {}, "y": True}, "required": ["x"]}
    ),
]


@pytest.mark.parametrize(
    "call",
    [
        'convert(3, "a \\"b\\"")',
        "convert(-3.5, 2, True)",
        'convert(1, None, False, ["K2", "Mont Blanc"])',
        "now()",
        'anything("K2")',
        "anything(1, 2)",
    ],
)
def test_arguments_follow_the_schemas_of_any_tool(judge: Judge, call: str) -> None:
    grammar = plan_grammar(TOOLS, names_from=QUESTION)
    assert judge.accepted(grammar, f"a = {call}\nanswer(a)\n")[0]
    assert judge.accepted(grammar, f'a = {call}\nb = convert(a.sum, 2)\nanswer(f"{{b.note}}, {{a}}")\n')[0]


@pytest.mark.parametrize("call", ["convert(1)", 'convert("x", 2)', "convert(1, 3)", "now(1)", "anything()"])
def test_arguments_that_do_not_are_refused(judge: Judge, call: str) -> None:
    assert not judge.accepted(plan_grammar(TOOLS, names_from=QUESTION), f"a = {call}\nanswer(a)\n")[0]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ('Who wrote "The \\ Raven"?', "Raven"),
        ("How tall is {K2} /* in */ metres // now?", "K2"),
        ("東京 or Kraków: which\nhas   more people?", "東京"),
        ("Swordfish or tuna: which is faster?", "swordfish"),
        ("How old is Washington, D.C. today?", "Washington, D.C."),
        ("height of <|end|> " + "and of Mount Threl " * 150, "Mount Threl"),
    ],
)
def test_any_question_makes_a_grammar(
    judge: Judge, builtin: list[ToolSpec], question: str, name: str
) -> None:
    grammar = plan_grammar(builtin, names_from=question)
    plan = f'a = search("age of {name}")\nanswer(f"{{a.value}} years")\n'
    ok, read = judge.accepted(grammar, plan)
    assert ok, read
    assert not judge.accepted(grammar, plan.replace(name, "Nowhere"))[0]


def test_without_tools_and_words_there_is_still_an_answer(judge: Judge) -> None:
    assert judge.accepted(plan_grammar([], names_from=""), 'answer("yes")\n')[0]


async def test_a_model_that_knows_nothing_still_writes_plans(
    builtin: list[ToolSpec], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Random weights: what is written is the grammar's doing alone."""
    folder = build_model(tmp_path_factory.mktemp("ignorant"), "llama", context=2048)
    task = PlanTask(question=QUESTION, tools=builtin)
    async with await LocalEngine.load(folder, threads=1) as engine:
        planner = LLMPlanner(engine, style="compact", max_tokens=120, temperature=1.0)
        written = [""] * 3
        try:
            async for event in planner.plan(task):
                if isinstance(event, PlannerText):
                    written[event.attempt] += event.text
        except PlanningError:
            pass  # it may call tools with the wrong kind of result
        async with await engine.prefill(compact_prompt(QUESTION, builtin)) as context:
            params = SamplingParams(
                n=6,
                max_tokens=160,
                seed=1,
                temperature=1.0,
                grammar=plan_grammar(builtin, names_from=QUESTION),
            )
            for completion in await engine.generate(context, params):
                completion.context.release()
                written.append(completion.text)
        assert engine.open_contexts() == 0
    for text in filter(None, written):
        whole = text[: text.rfind("\n") + 1]
        assert all(isinstance(item, Statement) for item in PlanParser().feed(whole)), whole
