"""What a question of the planning set means: a small program that depends on no tools.

A `Builder` collects steps (look up, calculate, rank, branch, answer). `render` writes them in the plan
language for a given `Toolset`. So one meaning can be written for `search` and `calculate` as well as for
tools that nobody has seen before.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

Style = Literal["query", "entity", "entity_attribute", "attribute_entity"]
"""How a look-up tool is asked: one phrase, the entity alone, or both in either order."""


@dataclass(frozen=True, kw_only=True)
class LookupTool:
    """A tool that finds facts: how to call it and which fields of its result hold number and unit.

    `value_field` None means that the result itself is the value.
    """

    name: str
    style: Style = "query"
    value_field: str | None = "value"
    unit_field: str | None = "unit"


@dataclass(frozen=True, kw_only=True)
class RankTool:
    """A tool that sorts names by values. `descending` and `ascending` go into the plan as they stand."""

    name: str = "rank"
    descending: str = '"descending"'
    ascending: str = '"ascending"'
    values_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Toolset:
    """The tools that a program is written for.

    Args:
        general: look-up tool for every attribute that has none of its own.
        specific: look-up tools by attribute noun.
        calculate: name of the tool that evaluates arithmetic.
        rank: None where the plan has to compare for itself. Then only two things can be compared.
    """

    general: LookupTool = LookupTool(name="search")
    specific: Mapping[str, LookupTool] = field(default_factory=dict[str, LookupTool])
    calculate: str = "calculate"
    rank: RankTool | None = RankTool()

    def lookup(self, attribute: str) -> LookupTool:
        return self.specific.get(attribute, self.general)


@dataclass(frozen=True)
class Ref:
    """The result of step `step`."""

    step: int


@dataclass(frozen=True)
class Item:
    """Element `index` of the list that step `step` gives."""

    step: int
    index: int


@dataclass(frozen=True)
class Amount:
    """A number together with the unit of the look-up it comes from."""

    value: Ref
    unit: Ref


Part = str | Ref | Item | Amount
Argument = str | int | float | bool | Ref | Item

ITEM = Ref(-1)
"""The item at hand inside a `CallEach`. A plan calls it x."""


@dataclass(frozen=True)
class Lookup:
    """One look-up of an attribute of an entity."""

    attribute: str
    entity: str | Ref | Item


@dataclass(frozen=True)
class LookupEach:
    """One look-up for every item of a list: names, or a list that another step gives."""

    attribute: str
    entities: tuple[str, ...] | Ref


@dataclass(frozen=True)
class Calculate:
    """Arithmetic on text and results."""

    parts: tuple[str | Ref, ...]


@dataclass(frozen=True)
class Rank:
    """The names and values are listed one by one, or each is a list that a step gives."""

    names: tuple[str | Ref, ...] | Ref
    values: tuple[Ref, ...] | Ref
    descending: bool


@dataclass(frozen=True)
class Call:
    """A call of a tool that is none of the above. A text argument is quoted."""

    tool: str
    arguments: tuple[Argument, ...]
    keywords: tuple[tuple[str, Argument], ...] = ()


@dataclass(frozen=True)
class CallEach:
    """A call for every item of a list that a step gives. The item stands where `ITEM` does."""

    tool: str
    arguments: tuple[Argument, ...]
    over: Ref | tuple[str, ...]


@dataclass(frozen=True)
class Think:
    """What no tool does is left to the model, with results to go by."""

    question: str
    given: tuple[Ref, ...]


Step = Lookup | LookupEach | Calculate | Rank | Call | CallEach | Think


@dataclass(frozen=True)
class Answer:
    """The answer in parts, or the reason why there is none."""

    parts: tuple[Part, ...]
    declines: bool = False


@dataclass(frozen=True)
class Branch:
    """`if left <operator> right` with a block each. A block is steps (by index) and then an answer.

    Further comparisons are joined to the first one by `join`.
    """

    left: Ref
    operator: str
    right: str | Ref
    then: Block
    otherwise: Block
    more: tuple[tuple[Ref, str, str | Ref], ...] = ()
    join: Literal["and", "or"] = "and"


Test = tuple[Ref, str, "str | Ref"]
"""A comparison: left, operator, right. A text on the right stands in the plan as it is."""


@dataclass(frozen=True)
class Case:
    """Comparisons, joined by `join`, and the answer where they hold."""

    tests: tuple[Test, ...]
    end: Answer
    join: Literal["and", "or"] = "and"


@dataclass(frozen=True)
class Cases:
    """`if`, `elif` ... and `else`, each with an answer."""

    cases: tuple[Case, ...]
    otherwise: Answer


@dataclass(frozen=True)
class Block:
    """Steps, by index, and an answer."""

    steps: tuple[int, ...]
    end: Answer


@dataclass
class Builder:
    """Collects the steps of one program in the order in which the plan will write them."""

    steps: list[Step] = field(default_factory=list[Step])
    end: Answer | Branch | Cases | None = None

    def look(self, attribute: str, entity: str | Ref | Item) -> Ref:
        return self._add(Lookup(attribute, entity))

    def look_each(self, attribute: str, entities: Sequence[str] | Ref) -> Ref:
        return self._add(LookupEach(attribute, entities if isinstance(entities, Ref) else tuple(entities)))

    def calculate(self, *parts: str | Ref) -> Ref:
        return self._add(Calculate(parts))

    def rank(self, names: Sequence[str | Ref] | Ref, values: Sequence[Ref] | Ref, *, descending: bool) -> Ref:
        return self._add(
            Rank(
                names if isinstance(names, Ref) else tuple(names),
                values if isinstance(values, Ref) else tuple(values),
                descending,
            )
        )

    def call(self, tool: str, *arguments: Argument, **keywords: Argument) -> Ref:
        return self._add(Call(tool, arguments, tuple(keywords.items())))

    def call_each(self, tool: str, over: Ref | Sequence[str], *arguments: Argument) -> Ref:
        return self._add(CallEach(tool, arguments, over if isinstance(over, Ref) else tuple(over)))

    def think(self, question: str, *given: Ref) -> Ref:
        return self._add(Think(question, given))

    def answer(self, *parts: Part) -> None:
        self.end = Answer(parts)

    def decline(self, reason: str) -> None:
        self.end = Answer((reason,), declines=True)

    def cases(self, cases: Sequence[Case], otherwise: Answer) -> None:
        self.end = Cases(tuple(cases), otherwise)

    def branch(self, left: Ref, operator: str, right: str | Ref, then: Block, otherwise: Block) -> None:
        self.end = Branch(left, operator, right, then, otherwise)

    def yes_no(
        self,
        left: Ref,
        operator: str,
        right: str | Ref,
        *more: tuple[Ref, str, str | Ref],
        join: Literal["and", "or"] = "and",
    ) -> None:
        then, otherwise = Block((), Answer(("yes",))), Block((), Answer(("no",)))
        self.end = Branch(left, operator, right, then, otherwise, more, join)

    def _add(self, step: Step) -> Ref:
        self.steps.append(step)
        return Ref(len(self.steps) - 1)


def render(program: Builder, tools: Toolset) -> str:
    """The plan text of `program` for `tools`: one statement per line, each line ended.

    Raises:
        ValueError: the program has no answer, or ranks although `tools` has no ranking tool.
    """
    return "".join(line + "\n" for line in _Writer(program, tools).lines())


def quoted(text: str) -> str:
    """`text` as a double-quoted string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Writer:
    def __init__(self, program: Builder, tools: Toolset) -> None:
        self.program = program
        self.tools = tools

    def lines(self) -> Iterator[str]:
        end = self.program.end
        if end is None:
            raise ValueError("the program has no answer; call answer() or branch() last")
        inside: set[int] = set()
        if isinstance(end, Branch):
            inside = {*end.then.steps, *end.otherwise.steps}
        for index in range(len(self.program.steps)):
            if index not in inside:
                yield self.assignment(index)
        match end:
            case Answer():
                yield self.answer(end)
            case Branch():
                tests = ((end.left, end.operator, end.right), *end.more)
                yield f"if {f' {end.join} '.join(self.test(*test) for test in tests)}:"
                yield from self.block(end.then)
                yield "else:"
                yield from self.block(end.otherwise)
            case Cases(cases, otherwise):
                for index, case in enumerate(cases):
                    tests = f" {case.join} ".join(self.test(*test) for test in case.tests)
                    yield f"{'elif' if index else 'if'} {tests}:"
                    yield "    " + self.answer(case.end)
                yield "else:"
                yield "    " + self.answer(otherwise)
            case _:
                assert_never(end)

    def test(self, left: Ref, operator: str, right: str | Ref) -> str:
        return f"{self.expression(left)} {operator} {right if isinstance(right, str) else self.expression(right)}"

    def block(self, block: Block) -> Iterator[str]:
        for index in block.steps:
            yield "    " + self.assignment(index)
        yield "    " + self.answer(block.end)

    def assignment(self, index: int) -> str:
        return f"{variable(index)} = {self.call(self.program.steps[index])}"

    def call(self, step: Step) -> str:
        match step:
            case Lookup(attribute, entity):
                tool = self.tools.lookup(attribute)
                return f"{tool.name}({self.lookup_arguments(tool.style, attribute, entity)})"
            case Calculate(parts):
                return f"{self.tools.calculate}({self.text(parts)})"
            case LookupEach(attribute, entities):
                tool = self.tools.lookup(attribute)
                over = variable(entities.step) if isinstance(entities, Ref) else self.names(entities)
                return f"[{tool.name}({self.lookup_arguments(tool.style, attribute, ITEM)}) for x in {over}]"
            case Rank(names, values, descending):
                tool = self.tools.rank
                if tool is None:
                    raise ValueError("this program ranks, but the toolset has no ranking tool")
                words = variable(names.step) if isinstance(names, Ref) else self.names(names)
                if isinstance(values, Ref):
                    numbers = variable(values.step)
                else:
                    numbers = f"[{', '.join(self.expression(v) for v in values)}]"
                pair = (numbers, words) if tool.values_first else (words, numbers)
                order = tool.descending if descending else tool.ascending
                return f"{tool.name}({', '.join((*pair, order))})"
            case Call(tool, arguments, keywords):
                written = [self.argument(a) for a in arguments]
                written += [f"{name}={self.argument(a)}" for name, a in keywords]
                return f"{tool}({', '.join(written)})"
            case CallEach(tool, arguments, over):
                items = variable(over.step) if isinstance(over, Ref) else self.names(over)
                return f"[{tool}({', '.join(self.argument(a) for a in arguments)}) for x in {items}]"
            case Think(question, given):
                results = ", ".join(variable(ref.step) for ref in given)
                return (
                    f"think({quoted(question)}, given=[{results}])" if given else f"think({quoted(question)})"
                )
            case _:
                assert_never(step)

    def names(self, names: Sequence[str | Ref]) -> str:
        return f"[{', '.join(quoted(n) if isinstance(n, str) else self.expression(n) for n in names)}]"

    def lookup_arguments(self, style: Style, attribute: str, entity: str | Ref | Item) -> str:
        alone = quoted(entity) if isinstance(entity, str) else self.expression(entity)
        match style:
            case "query":
                return self.text((f"{attribute} of ", entity))
            case "entity":
                return alone
            case "entity_attribute":
                return f"{alone}, {quoted(attribute)}"
            case "attribute_entity":
                return f"{quoted(attribute)}, {alone}"
            case _:
                assert_never(style)

    def argument(self, value: Argument) -> str:
        match value:
            case str():
                return quoted(value)
            case Ref() | Item():
                return self.expression(value)
            case _:
                return repr(value)

    def answer(self, answer: Answer) -> str:
        if answer.declines:
            return f"decline({self.text(answer.parts)})"
        if len(answer.parts) == 1:
            part = answer.parts[0]
            if isinstance(part, (Ref, Item)):
                return f"answer({self.expression(part)})"
            if isinstance(part, Amount) and self.unit(part) is None:
                return f"answer({self.expression(part.value)})"
        return f"answer({self.text(answer.parts)})"

    def text(self, parts: Sequence[Part]) -> str:
        """A string literal, with the f prefix only where something is put in."""
        if all(isinstance(part, str) for part in parts):
            return quoted("".join(str(part) for part in parts))
        pieces: list[str] = []
        for part in parts:
            match part:
                case str():
                    pieces.append(quoted(part)[1:-1].replace("{", "{{").replace("}", "}}"))
                case Ref():
                    pieces.append(f"{{{self.expression(part)}}}")
                case Item():
                    pieces.append(f"{{{self.expression(part)}}}")
                case Amount(value):
                    pieces.append(f"{{{self.expression(value)}}}")
                    if unit := self.unit(part):
                        pieces.append(f" {{{unit}}}")
                case _:
                    assert_never(part)
        return f'f"{"".join(pieces)}"'

    def unit(self, amount: Amount) -> str | None:
        step = self.program.steps[amount.unit.step]
        if not isinstance(step, Lookup):
            raise ValueError(f"a unit comes from a look-up, not from {step!r}")
        name = self.tools.lookup(step.attribute).unit_field
        return None if name is None else f"{variable(amount.unit.step)}.{name}"

    def expression(self, ref: Ref | Item) -> str:
        if ref == ITEM:
            return "x"
        name = variable(ref.step)
        if isinstance(ref, Item):
            return f"{name}[{ref.index}]"
        step = self.program.steps[ref.step]
        if isinstance(step, Think):
            return f"{name}.answer"
        if isinstance(step, Lookup) and (value := self.tools.lookup(step.attribute).value_field):
            return f"{name}.{value}"
        return name


def variable(index: int) -> str:
    """a, b, ... z for the steps of a program."""
    if not 0 <= index < len(string.ascii_lowercase):
        raise ValueError(f"a program has at most 26 steps; step {index} has no name")
    return string.ascii_lowercase[index]
