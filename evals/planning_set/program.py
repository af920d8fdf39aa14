"""What a question of the planning set means: a small program, independent of the tools that will carry it out.

A `Builder` collects steps (look up, calculate, rank, branch, answer); `render` writes them in the plan language
for a given `Toolset`, so that one meaning can be written for `search` and `calculate` as well as for tools that
nobody has seen before.
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
    """A tool that sorts names by values; `descending` and `ascending` are written into the plan as they stand."""

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
        rank: None where the plan has to compare for itself; then only two things can be compared.
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


@dataclass(frozen=True)
class Lookup:
    attribute: str
    entity: str | Ref


@dataclass(frozen=True)
class Calculate:
    parts: tuple[str | Ref, ...]


@dataclass(frozen=True)
class Rank:
    names: tuple[str | Ref, ...]
    values: tuple[Ref, ...]
    descending: bool


@dataclass(frozen=True)
class Call:
    """A call of a tool that is none of the above; a text argument is quoted."""

    tool: str
    arguments: tuple[str | int | float | Ref, ...]


Step = Lookup | Calculate | Rank | Call


@dataclass(frozen=True)
class Answer:
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Branch:
    """`if left <operator> right` with a block each; a block is steps (by index) and then an answer."""

    left: Ref
    operator: str
    right: str | Ref
    then: Block
    otherwise: Block


@dataclass(frozen=True)
class Block:
    steps: tuple[int, ...]
    end: Answer


@dataclass
class Builder:
    """Collects the steps of one program in the order in which the plan will write them."""

    steps: list[Step] = field(default_factory=list[Step])
    end: Answer | Branch | None = None

    def look(self, attribute: str, entity: str | Ref) -> Ref:
        return self._add(Lookup(attribute, entity))

    def calculate(self, *parts: str | Ref) -> Ref:
        return self._add(Calculate(parts))

    def rank(self, names: Sequence[str | Ref], values: Sequence[Ref], *, descending: bool) -> Ref:
        return self._add(Rank(tuple(names), tuple(values), descending))

    def call(self, tool: str, *arguments: str | int | float | Ref) -> Ref:
        return self._add(Call(tool, arguments))

    def answer(self, *parts: Part) -> None:
        self.end = Answer(parts)

    def branch(self, left: Ref, operator: str, right: str | Ref, then: Block, otherwise: Block) -> None:
        self.end = Branch(left, operator, right, then, otherwise)

    def yes_no(self, left: Ref, operator: str, right: str | Ref) -> None:
        self.branch(left, operator, right, Block((), Answer(("yes",))), Block((), Answer(("no",))))

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
                right = end.right if isinstance(end.right, str) else self.expression(end.right)
                yield f"if {self.expression(end.left)} {end.operator} {right}:"
                yield from self.block(end.then)
                yield "else:"
                yield from self.block(end.otherwise)
            case _:
                assert_never(end)

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
            case Rank(names, values, descending):
                tool = self.tools.rank
                if tool is None:
                    raise ValueError("this program ranks, but the toolset has no ranking tool")
                words = ", ".join(quoted(n) if isinstance(n, str) else self.expression(n) for n in names)
                numbers = ", ".join(self.expression(v) for v in values)
                pair = (f"[{numbers}]", f"[{words}]") if tool.values_first else (f"[{words}]", f"[{numbers}]")
                order = tool.descending if descending else tool.ascending
                return f"{tool.name}({', '.join((*pair, order))})"
            case Call(tool, arguments):
                return f"{tool}({', '.join(self.argument(a) for a in arguments)})"
            case _:
                assert_never(step)

    def lookup_arguments(self, style: Style, attribute: str, entity: str | Ref) -> str:
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

    def argument(self, value: str | int | float | Ref) -> str:
        match value:
            case str():
                return quoted(value)
            case Ref():
                return self.expression(value)
            case _:
                return repr(value)

    def answer(self, answer: Answer) -> str:
        if len(answer.parts) == 1:
            part = answer.parts[0]
            if isinstance(part, Item):
                return f"answer({variable(part.step)}[{part.index}])"
            if isinstance(part, Ref):
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
                case Item(step, index):
                    pieces.append(f"{{{variable(step)}[{index}]}}")
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

    def expression(self, ref: Ref) -> str:
        step = self.program.steps[ref.step]
        name = variable(ref.step)
        if isinstance(step, Lookup) and (value := self.tools.lookup(step.attribute).value_field):
            return f"{name}.{value}"
        return name


def variable(index: int) -> str:
    """a, b, ... z for the steps of a program."""
    if not 0 <= index < len(string.ascii_lowercase):
        raise ValueError(f"a program has at most 26 steps; step {index} has no name")
    return string.ascii_lowercase[index]
