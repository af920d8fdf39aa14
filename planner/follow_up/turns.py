"""Turns of a conversation as typed data: what was asked, what was looked up, and the value of the answer.

A turn is made from the graph of a finished run. Nothing in it is read from the answer's text. Any tool takes
part whose results have the fields `title`, `attribute` and `value`, and perhaps `unit` and `source`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

from braid.engine.surrogates import mend_text
from braid.executors import TaskGraph
from braid.executors.graph import NodeRecord
from braid.executors.nodes import Answer, Const, Expr, Ref, Template, ToolCall, evaluate_with
from braid.executors.values import PathError, attribute_names, resolve_path

Text: TypeAlias = Annotated[str, AfterValidator(mend_text)]
"""Text without halves of surrogate pairs: turns are journalled."""

Scalar: TypeAlias = int | float | Text

_FACT_FIELDS = {"title", "attribute", "value"}
_MAX_UNIT_WORDS = 3


class LookUp(BaseModel):
    """One look-up of a turn."""

    model_config = ConfigDict(frozen=True)

    name: Text
    """What it was about: the entry's title, or the name in the query where there was no entry."""
    attribute: Text = ""
    """Which fact it was, such as `height`."""
    value: Scalar | None = None
    """None where nothing was found."""
    unit: Text = ""
    tool: str
    query: Text = ""
    """The text that the tool was given. Empty where it takes something else than one text."""
    source: Text = ""
    """Where the tool says that the fact comes from."""

    @property
    def asked(self) -> str:
        """The name as the query has it."""
        return self.query.rpartition(" of ")[2] or self.name


class Turn(BaseModel):
    """One question of a conversation, and what came of it."""

    model_config = ConfigDict(frozen=True)

    question: Text
    """The question as it was answered: a follow-up is already rewritten."""
    answer: Text
    """The answer as it was read."""
    value: Scalar | None = None
    """The answer as a number or a name. None where it is neither."""
    unit: Text = ""
    plan: Text = ""
    """The plan. Empty where it took several rounds."""
    stored: str = ""
    """The answer's value as a journal stores it. Empty where later turns cannot read it."""
    lookups: tuple[LookUp, ...] = ()
    """What the answer was computed from. Where there is no answer, everything that was looked up."""


def turn_of(graph: TaskGraph, *, question: str, answer: str, plan: str = "") -> Turn:
    """The turn of a finished run."""
    entries = list(graph.entries.values())
    given = next((e for e in entries if isinstance(e.node.op, Answer) and e.state == "done"), None)
    used = _inputs(graph, given) if given is not None else []
    own = [entry for entry in entries if entry.node.round >= 0]  # those before are answers of earlier turns
    found = [lookup for entry in used or own for lookup in _look_up(entry)]
    lookups = {(each.name, each.attribute): each for each in found}
    value, unit = _value(graph, given.node.op) if given is not None else (None, "")
    return Turn(
        question=question, answer=answer, value=value, unit=unit, plan=plan, lookups=tuple(lookups.values())
    )


def _inputs(graph: TaskGraph, entry: NodeRecord) -> list[NodeRecord]:
    """The records that `entry` was computed from, in the order of the plan."""
    found: dict[NodeRecord, None] = {}
    todo = [entry]
    while todo:
        for producer in graph.producers(todo.pop()):
            for each in (producer, *(producer.children or ())):
                if each not in found:
                    found[each] = None
                    todo.append(each)
    return sorted(found, key=lambda each: each.order)


def _look_up(entry: NodeRecord) -> Iterator[LookUp]:
    op = entry.node.op
    if not isinstance(op, ToolCall):
        return
    texts = [arg.value for _, arg in op.args if isinstance(arg, Const) and isinstance(arg.value, str)]
    query = texts[0] if len(texts) == len(op.args) == 1 else ""
    if entry.state == "done":
        fact = _fact(entry.value)
        if fact is not None and (entries := fact.get("entries")):
            for title, value, unit in entries:
                yield LookUp(
                    name=title,
                    attribute=str(fact["attribute"]),
                    value=value,
                    unit=unit,
                    tool=op.tool,
                    query=f"{fact['attribute']} of {title}",
                    source=str(fact.get("source") or ""),
                )
        elif fact is not None:
            yield LookUp(
                name=str(fact["title"]),
                attribute=str(fact["attribute"]),
                value=fact["value"],
                unit=str(fact.get("unit") or ""),
                tool=op.tool,
                query=query,
                source=str(fact.get("source") or ""),
            )
    elif query and entry.state == "failed":
        attribute, _, name = query.rpartition(" of ")
        yield LookUp(name=name, attribute=attribute, tool=op.tool, query=query)


def _fact(value: Any) -> dict[str, Any] | None:
    """The fields of a fact: of an object or a dict that has them. None for any other value."""
    names = attribute_names(value)
    if not set(names) >= _FACT_FIELDS:
        return None
    fields = {
        name: resolve_path(value, (name,))
        for name in (*_FACT_FIELDS, "unit", "source", "entries")
        if name in names
    }
    number = fields["value"]
    return fields if isinstance(number, (int, float, str)) and not isinstance(number, bool) else None


def _value(graph: TaskGraph, op: Any) -> tuple[Scalar | None, str]:
    """Value and unit of an answer: of a fact, of a number, or of a number with a unit behind it."""
    if not isinstance(op, Answer) or len(op.values) != 1 or op.declines:
        return None, ""

    def read(ref: Ref) -> Any:
        for binder in graph.binders(ref.name):
            if graph.state(binder.id) == "done":
                return resolve_path(graph.result(binder.id), ref.path)
        raise PathError(f"there is no value of {ref.name!r}")

    expr: Expr = op.values[0]
    unit = ""
    if isinstance(expr, Template):
        number, *rest = expr.parts
        if isinstance(number, str):
            return None, ""
        if isinstance(text := evaluate_with(number.ref, read), str):
            return text, ""  # a name, with a remark behind it
        remark = next((at for at, part in enumerate(rest) if isinstance(part, str) and " (" in part), None)
        if remark is not None:  # what stands in brackets behind the unit
            rest = [*rest[:remark], str(rest[remark]).partition(" (")[0]]
        unit = str(evaluate_with(Template(tuple(rest)), read)).strip()
        expr = number.ref
        if len(unit.split()) > _MAX_UNIT_WORDS or any(char.isdigit() for char in unit[:1]):
            return None, ""
    value = evaluate_with(expr, read)
    if (fact := _fact(value)) is not None:
        if fact.get("entries"):
            return None, ""  # a list of things
        value, unit = fact["value"], unit or str(fact.get("unit") or "")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None, ""
    return value, unit if isinstance(value, (int, float)) else ""
