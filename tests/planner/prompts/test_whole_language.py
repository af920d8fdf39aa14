"""The grammar of the whole plan language: it takes valid plans, and what it takes is nearly always valid."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from braid.engine import Grammar
from braid.executors.tools import ToolSpec
from braid.planner.checker import compile_plan
from braid.planner.prompts import language_grammar
from braid.training.questions import generate
from braid.training.questions.tools import builtin_toolbox
from tests.support.tiny_models import build_tokenizer

pytest.importorskip("llguidance")

SENT = ToolSpec(
    name="send",
    description="",
    parameters={
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "level": {"enum": ["low", "high"]},
            "copies": {"type": "integer", "default": 1},
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        "required": ["to", "level"],
    },
    returns={"type": "object", "properties": {"receipt": {"type": "string"}}},
    effect="mutating",
)
CITIES = ToolSpec(
    name="cities",
    description="",
    parameters={"type": "object", "properties": {"country": {"type": "string"}}, "required": ["country"]},
    returns={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "mayor": {"$ref": "#/$defs/P"}},
        },
        "$defs": {"P": {"type": "object", "properties": {"age": {"type": "integer"}}}},
    },
)


class Judge:
    """Follows texts byte by byte, so that no tokenizer matters."""

    def __init__(self) -> None:
        from llguidance import LLMatcher, LLParserLimits
        from llguidance.hf import from_tokenizer

        tokenizer: Any = build_tokenizer()
        self._tokens = from_tokenizer(tokenizer)
        self._end = tokenizer.eos_token_id
        self._matcher: Any = LLMatcher
        self._limits = LLParserLimits(step_max_items=2_000_000)
        self._made: dict[str, Any] = {}

    def start(self, grammar: Grammar) -> Any:
        if grammar.source not in self._made:
            source = self._matcher.grammar_from_lark(grammar.source)
            matcher = self._matcher(self._tokens, source, log_level=0, limits=self._limits)
            assert not matcher.is_error(), matcher.get_error()
            self._made[grammar.source] = matcher
        return self._made[grammar.source].deep_copy()

    def accepts(self, grammar: Grammar, plan: str) -> tuple[bool, str]:
        """Whether `plan` is one of the grammar's, and how far it is."""
        matcher = self.start(grammar)
        ids = self._tokens.tokenize_bytes(plan.encode())
        count = matcher.validate_tokens(ids)
        matcher.consume_tokens(ids[:count])
        return count == len(ids) and matcher.is_accepting(), self._tokens.decode_str(ids[:count])

    def sample(self, grammar: Grammar, rng: random.Random, length: int) -> tuple[str, bool]:
        """A text that the grammar allows, and whether it came to its end."""
        matcher, written = self.start(grammar), list[int]()
        while len(written) < length and not matcher.is_stopped():
            bias = matcher.compute_logit_bias()
            assert not matcher.is_error(), f"nothing may follow {self._tokens.decode_str(written)!r}"
            allowed = [id for id in range(len(bias)) if bias[id] and id != self._end]
            if matcher.is_accepting() and (not allowed or rng.random() < 0.3):
                return self._tokens.decode_str(written), True
            text = [self._tokens.decode_str([id]) for id in allowed]
            # Short tokens that end something, so that texts and lists do not go on for ever.
            closing = [id for id, shown in zip(allowed, text, strict=True) if shown[:1] in "\"')]}\n:"]
            written.append(rng.choice(closing if closing and rng.random() < 0.6 else allowed))
            matcher.consume_token(written[-1])
            assert not matcher.is_error(), matcher.get_error()
        return self._tokens.decode_str(written), False


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.fixture(scope="module")
def tools() -> list[ToolSpec]:
    return [*builtin_toolbox(), SENT, CITIES]


LOOKUP = 'k2 = search("height of K2")\n'
PLANS = [
    'answer("4")',
    'decline("no tool knows the weather")\n',
    '```python\nyears = search("age of K2")\nanswer(f"{years.value:.1f} {{old}}")\n```',
    LOOKUP + 'answer(k2.value, k2["unit"], "m")\n',
    LOOKUP + "d = calculate(k2.value - 3 * (2 + 1))\nanswer(d)\n",
    LOOKUP + 'd = calculate(f"round({k2.value} / 1,000, 1)")\nanswer(d)\n',
    LOOKUP + 'd = calculate(f"abs({k2.value} - 8) > 3")\nanswer(d)\n',
    'answer(calculate("2 + 2"))\n',
    'answer(search("height of K2").value)\n',
    'x = rank(["a", "b"], [1, 2.5], order="ascending")\nanswer(x[0])\n',
    "größe = cities('Peru')\nanswer(größe[0].mayor.age, größe[1].name)\n",
    'towns = cities("Peru")\nfound = [search(f"age of {t.name}", on_error="collect") for t in towns]\n'
    "answer(found[0].value)\n",
    'xs = [think(f"Is {x} big?") for x in ["a", "b"]]\nvote = join(xs, policy="vote")\nanswer(vote.answer)\n',
    'a = think("why?")\nb = think("why?", n=3, given=[a])\nc = join([a, b], policy="2 of 2")\nanswer(c)\n',
    'a = think("x", method="self_consistency", n=8, given=[])\nanswer(a.answer, a.confidence)\n',
    'name = ask("Who is it for?")\nsend(name, "high", tags=["x"], copies=2)\nanswer("sent")\n',
    'r = send(level="low", to="Ann")\nanswer(r.receipt)\n',
    LOOKUP
    + 'if k2.value > 3 and not (k2.unit == "m"):\n    answer("yes")\nelif k2:\n    b = now()\n    answer(b)\n'
    'else:\n    answer("no")\n',
    LOOKUP + 'if k2.value > 3:\n    if k2.unit in ["m", "km"]:\n        answer("yes")\n    c = now()\n'
    "answer(k2)\n",
    LOOKUP + 'if k2.value > 3: answer("yes")\nelse: answer("no")',
    LOOKUP + 'if k2.value > 3:\n    answer("high")\nanswer("low")\n',
    LOOKUP,
    'text = search("\\u00e9 \\"quoted\\" it\'s")\nanswer({"a": [text, None, True]}, -1.5e3)\n',
]
LETTERED = [
    'a = search("height of K2")\nb = search("height of Mont")\nc = calculate(f"{a.value} - {b.value}")\n'
    "answer(c)\n",
    'a = cities("Peru")\nb = [search(f"age of {x.name}") for x in a]\nanswer(b[0].value, a[0].mayor.age)\n',
    'a = search("height of K2")\nif a.value > 3:\n    b = now()\n    answer(b)\nelse:\n    answer("no")\n',
]


@pytest.mark.parametrize("plan", PLANS)
def test_valid_plans_are_allowed(judge: Judge, tools: list[ToolSpec], plan: str) -> None:
    nodes, errors = compile_plan(plan, tools)
    assert nodes and not errors
    ok, read = judge.accepts(language_grammar(tools), plan)
    assert ok, f"{plan}\nrefused behind:\n{read}"


@pytest.mark.parametrize("plan", LETTERED)
def test_valid_plans_with_letters_are_allowed(judge: Judge, tools: list[ToolSpec], plan: str) -> None:
    assert not compile_plan(plan, tools)[1]
    ok, read = judge.accepts(language_grammar(tools, letters=True), plan)
    assert ok, f"{plan}\nrefused behind:\n{read}"


@pytest.mark.parametrize("letters", [False, True])
def test_every_reference_plan_of_the_planning_set_is_allowed(judge: Judge, letters: bool) -> None:
    builtin = builtin_toolbox()
    grammar = language_grammar(builtin, letters=letters)
    for split in ("train", "heldout-templates", "heldout-entities", "heldout"):
        for sample in generate(split, 20, seed=5):
            ok, read = judge.accepts(grammar, sample.plan)
            assert ok, f"{sample.plan}\nrefused behind:\n{read}"


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        ("years = serch('x')\n", "rch"),
        ("answer(k2)\n", "k2"),
        (LOOKUP + "answer(m.value)\n", "m.value"),
        (LOOKUP + "answer(k2.mayor)\n", "mayor"),
        (LOOKUP + "answer(k2.value - 3)\n", " - 3"),
        (LOOKUP + 'd = calculate(f"{k2.value} metres")\n', "metres"),
        (LOOKUP + "answer(k2)\nanswer(k2)\n", "answer(k2)\n"),
        (LOOKUP + 'if k2:\n    answer("a")\nelse:\n    answer("b")\nanswer("c")\n', 'answer("c")'),
        ('send("Ann")\n', ")"),
        ('a = calculate(f"{")\n', "{"),
        ('answer(f"It is {x}")\n', "x}"),
        ("answer(search(search('x')))\n", "search('x')"),
        ('send("Ann", "middle")\n', "middle"),
        ('send("Ann", "low", to="Ben")\n', "o="),
        ("for x in [1]:\n", " x"),
        ("answer = search('x')\n", " = "),
        ('a = think("x", policy="vote")\n', "policy"),
    ],
)
def test_what_is_invalid_is_refused(judge: Judge, tools: list[ToolSpec], plan: str, wrong: str) -> None:
    ok, read = judge.accepts(language_grammar(tools), plan)
    assert not ok
    assert len(read) <= plan.rindex(wrong), f"allowed as far as {read!r}"


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        ('b = search("x")\n', "b"),
        ('a = search("x")\nanswer(b)\n', "b)"),
        ('a = search("x")\nb = now()\nanswer(b.value)\n', "value)"),
        ('a = search("x")\nanswer(a[0])\n', "0]"),
        ('a = cities("Peru")\nanswer(a[0].mayor.name)\n', "name"),
        ('answer(calculate("1"))\n', "calculate"),
    ],
)
def test_letters_have_their_own_fields(judge: Judge, tools: list[ToolSpec], plan: str, wrong: str) -> None:
    ok, read = judge.accepts(language_grammar(tools, letters=True), plan)
    assert not ok
    assert len(read) <= plan.rindex(wrong), f"allowed as far as {read!r}"


def test_later_rounds_read_what_is_there(judge: Judge, tools: list[ToolSpec]) -> None:
    free = language_grammar(tools, earlier=["years"])
    assert judge.accepts(free, "answer(years.value)\n")[0]
    assert not judge.accepts(free, "answer(months)\n")[0]
    before = 'a = search("x")  # 3 m\n# b = search("y")  # failed: unknown\n'
    lettered = language_grammar(tools, letters=True, plan_so_far=before)
    assert judge.accepts(lettered, "b = now()\nanswer(a.value, b)\n")[0]
    assert not judge.accepts(lettered, "answer(b)\n")[0]


@pytest.mark.parametrize("letters", [False, True])
def test_what_is_sampled_is_read_and_mostly_valid(
    judge: Judge, tools: Sequence[ToolSpec], letters: bool
) -> None:
    """The checker refuses some: names that only begin like a bound one, joins of effects, and the like."""
    rng = random.Random(7)
    grammar = language_grammar(tools, letters=letters)
    ended = valid = unread = 0
    for _ in range(60):
        text, complete = judge.sample(grammar, rng, 150)
        if complete:
            ended += 1
            _, errors = compile_plan(text, tools)
            valid += not errors
            unread += any(type(error).__name__ == "PlanSyntaxError" for error in errors)
    assert ended >= 20
    assert unread <= ended * 0.1
    assert valid >= ended * (0.8 if letters else 0.5)
