"""Typed checks of a plan that was tried: what of it cannot be right for the question.

Each check is a small rule over the question's words, the plan and its results. It says what it found and
how much of the plan's vote is left. Rules compare types, signs, units, names and numbers. None knows a
question, and where the words or the types do not tell, a rule is silent. A rule whose finding cannot be right
leaves nothing. A rule that may be wrong about it leaves a part, since a vote weighs it against other plans.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from braid.executors.builtin.atlas import Fact, fold
from braid.executors.graph import NodeRecord, names_read
from braid.executors.nodes import Answer, Const, Expr, ListOf, Map, Node, Template, ToolCall
from braid.executors.values import short_form
from braid.orchestrator.sampled_plans.trial import Trial
from braid.orchestrator.sampled_plans.wording import Wording, read_wording
from braid.planner import doubt_of
from braid.planner.language import render_guards

REJECTED: Final = 0.0
UNLIKELY: Final = 0.25
WEAK: Final = 0.5
SLIGHT: Final = 0.75

_NUMBER: Final = re.compile(r"(?<![\w.])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_MULTIPLES: Final = (1e3, 1e6, 1e9)
"""What a number in a question may be a number of."""
_LARGEST_SHARE: Final = 100.0


@dataclass(frozen=True)
class Objection:
    """Why a plan is not, or hardly, right."""

    rule: str
    weight: float
    """What is left of its vote: 0 rejects it."""
    reason: str


@dataclass(frozen=True)
class Tried:
    """What a check looks at."""

    question: str
    wording: Wording
    nodes: Sequence[Node]
    """The plan."""
    trial: Trial
    values: tuple[object, ...]
    """The values of its answer."""

    @property
    def numbers(self) -> list[float]:
        """The numbers of the answer, those in its texts included."""
        return [number for value in self.values for number in _numbers(value)]

    def records(self) -> Iterator[NodeRecord]:
        """The calls of the plan that were made, items of maps included."""
        for record in self.trial.graph.entries.values():
            if record.node.round >= 0 and isinstance(record.node.op, (ToolCall, Map)):
                yield record

    def facts(self) -> list[Fact]:
        """What was looked up in the atlas."""
        found = [
            each for record in self.records() if record.state == "done" for each in _listed(record.value)
        ]
        return list(dict.fromkeys(each for each in found if isinstance(each, Fact)))


Check = Callable[[Tried], Iterator[Objection]]


def objections(question: str, nodes: Sequence[Node], trial: Trial) -> list[Objection]:
    """What the checks say against a plan that came to an answer, the gravest first."""
    outcome = trial.outcome
    values = () if outcome.answer is None or outcome.declined else outcome.answer
    tried = Tried(question, read_wording(question), nodes, trial, values)
    found = [objection for check in CHECKS for objection in check(tried)]
    return sorted(found, key=lambda objection: objection.weight)


def weight_of(found: Iterable[Objection]) -> float:
    """The weight of a vote with these objections."""
    weight = 1.0
    for objection in found:
        weight *= objection.weight
    return weight


def sign(tried: Tried) -> Iterator[Objection]:
    """How much higher, by what margin, how many years after: the answer is not negative, and rarely 0."""
    if not tried.wording.gap:
        return
    if any(number < 0 for number in tried.numbers):
        yield Objection("sign", REJECTED, "a difference between two things cannot be negative")
    elif any(number == 0 for number in tried.numbers) and len(tried.numbers) == 1:
        yield Objection("sign", WEAK, "the difference comes out as 0")


def share(tried: Tried) -> Iterator[Objection]:
    """A part of a whole is neither negative nor, as a rule, more than 100 %."""
    below_zero = any(not isinstance(fact.value, str) and fact.value < 0 for fact in tried.facts())
    if not tried.wording.share or below_zero:  # what is below 0 is no whole
        return
    if any(number < 0 for number in tried.numbers):
        yield Objection("share", REJECTED, "a share cannot be negative")
    elif any(number > _LARGEST_SHARE for number in tried.numbers):
        yield Objection("share", UNLIKELY, "the share comes out as more than 100 %")


def ratio(tried: Tried) -> Iterator[Objection]:
    """How many times as large: above 0, and as people ask it, at least 1."""
    if not tried.wording.ratio:
        return
    if any(number <= 0 for number in tried.numbers):
        yield Objection("ratio", REJECTED, "a ratio of two sizes is above 0")
    elif any(number < 1 for number in tried.numbers):
        yield Objection("ratio", WEAK, "the ratio comes out as less than 1")


def kind(tried: Tried) -> Iterator[Objection]:
    """A number for how many, a name for which, yes or no for a question that can be answered so."""
    if not tried.values:
        return
    wording, values = tried.wording, tried.values
    only_numbers = all(_is_number(value) for value in values)
    if wording.numeric and not tried.numbers:
        yield Objection("kind", REJECTED, "the question asks for a number")
    elif wording.naming and only_numbers:
        yield Objection("kind", REJECTED, "the question asks for a name")
    elif wording.yes_or_no and not any(_is_yes_or_no(value) for value in values):
        yield Objection("kind", UNLIKELY, "the question asks for yes or no")


def unit(tried: Tried) -> Iterator[Objection]:
    """The answer's facts measure what is asked for (`braid.planner.doubt_of`)."""
    if tried.values and (doubt := doubt_of(tried.question, tried.values, tried.trial.graph)) is not None:
        yield Objection("unit", UNLIKELY, doubt.reason)


def mixed_units(tried: Tried) -> Iterator[Objection]:
    """What is added or subtracted has one unit."""
    graph = tried.trial.graph
    for record in tried.records():
        op = record.node.op
        if not isinstance(op, ToolCall) or op.tool != "calculate":
            continue
        literals = "".join(part for part in _texts(op) if part)
        if re.search(r"[*/^(,]", literals) or not re.search(r"[+-]", literals):
            continue
        read = {
            name for name in names_read(record.node) for node in graph.binders(name) if _is_done(tried, node)
        }
        facts = [
            graph.result(node.id) for name in read for node in graph.binders(name) if _is_done(tried, node)
        ]
        units = {fact.unit for fact in facts if isinstance(fact, Fact)}
        if len(units) > 1:
            shown = " and ".join(sorted(each or "no unit" for each in units))
            yield Objection("mixed units", UNLIKELY, f"adds or subtracts {shown}")


def operand(tried: Tried) -> Iterator[Objection]:
    """A name that a look-up is given stands in the question, or in a result before it."""
    known, graph = set(tried.wording.words), tried.trial.graph
    for node in tried.nodes:
        for text in _given(node):
            words = [word for name in _capitals(text) for word in fold(name)]
            if strange := [word for word in words if word not in known]:
                yield Objection("operand", UNLIKELY, f"the question does not name {' '.join(strange)}")
                return
        if node.id in graph.entries and graph.state(node.id) == "done":
            known.update(word for each in _listed(graph.result(node.id)) for word in fold(_text(each)))


def dropped(tried: Tried) -> Iterator[Objection]:
    """Every name and every number of the question is used."""
    plan = " ".join(f"{node.source} {render_guards(node.guards)}" for node in tried.nodes)
    used = set(fold(plan))
    for record in tried.records():
        if record.state == "done":
            used.update(word for each in _listed(record.value) for word in fold(_text(each)))
    for name in tried.wording.names:
        if used.isdisjoint(name):
            yield Objection("dropped", WEAK, f"{' '.join(name)} is not used")
    numbers = {float(n.replace(",", "")) for n in re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", plan)}
    for number in tried.wording.numbers:
        share = number / 100
        near = (number, share, 1 - share, 1 + share, *(number * many for many in _MULTIPLES))
        if not any(abs(each - n) < 1e-9 * max(1.0, abs(each)) for each in near for n in numbers):
            yield Objection("dropped", WEAK, f"{number:g} is not used")


def over_all(tried: Tried) -> Iterator[Objection]:
    """A mean or a total of listed things is made of a value for each of them."""
    names = tried.wording.names
    if not tried.wording.over_all or len(names) < 2:
        return
    facts = [fact for fact in tried.facts() if not isinstance(fact.value, str)]
    if facts and len(facts) < len(names):
        yield Objection(
            "over all", SLIGHT, f"{len(names)} things are named, and {len(facts)} values looked up"
        )


def unread(tried: Tried) -> Iterator[Objection]:
    """A result that nothing reads was asked for in vain, so something was left out."""
    read = {name for node in tried.nodes for name in names_read(node)}
    for node in tried.nodes:
        if node.name is not None and node.name not in read and isinstance(node.op, (ToolCall, Map)):
            yield Objection("unread", WEAK, f"nothing reads {' '.join(node.source.split())}")
            return


def failed(tried: Tried) -> Iterator[Objection]:
    """A call that failed leaves the answer without something that the plan wanted."""
    for record in tried.trial.graph.entries.values():
        if record.state == "failed":
            yield Objection("failed", WEAK, f"{' '.join(record.node.source.split())} failed")
            return


CHECKS: Final[tuple[Check, ...]] = (
    sign,
    share,
    ratio,
    kind,
    unit,
    mixed_units,
    operand,
    dropped,
    over_all,
    unread,
    failed,
)


def _numbers(value: object) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, (int, float)):
        return [float(value)]
    return [float(n.replace(",", "").replace("−", "-")) for n in _NUMBER.findall(_text(value))]


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    text = value.short_form() if isinstance(value, Fact) else short_form(cast("Any", value))
    return re.fullmatch(rf"{_NUMBER.pattern}(?: ?[^\W\d_]\S*)?", text.strip(), re.IGNORECASE) is not None


def _is_yes_or_no(value: object) -> bool:
    return isinstance(value, bool) or bool({"yes", "no", "true", "false"}.intersection(fold(_text(value))))


def _text(value: object) -> str:
    if isinstance(value, Fact):
        return f"{value.title} {value.short_form()} {value.text}"
    return short_form(cast("Any", value))


def _listed(value: object) -> list[object]:
    return list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else [value]


def _is_done(tried: Tried, node: Node) -> bool:
    return tried.trial.graph.state(node.id) == "done"


def _texts(op: ToolCall) -> Iterator[str]:
    """The literal texts in the arguments of a call."""
    for _, value in op.args:
        yield from _literals(value)


def _literals(expr: Expr) -> Iterator[str]:
    match expr:
        case Const(str() as text):
            yield text
        case Template(parts):
            yield from (part for part in parts if isinstance(part, str))
        case ListOf(items):
            for item in items:
                yield from _literals(item)
        case _:
            pass


def _given(node: Node) -> Iterator[str]:
    """The texts that a plan gives to its look-ups."""
    op = node.op
    if isinstance(op, Map):
        yield from _literals(op.over)
        op = op.body
    if isinstance(op, ToolCall) and not isinstance(op, Answer):
        yield from _texts(op)


def _capitals(text: str) -> Iterator[str]:
    """The words of `text` that can be names: those with a capital or a digit behind a letter."""
    for word in re.findall(r"[^\W_][\w'’.&-]*", text):
        if word[0].isupper() and len(word) > 1:
            yield word
