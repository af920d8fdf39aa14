"""Later rounds: what a plan looks like that goes on from results, or that must say what could not be found.

The prompt of a later round ends with the statements that are done, each with its result as a comment, and
those that failed, commented out (`braid.planner.prompts.history.finished_statements`).
"""

from __future__ import annotations

import json
import random
import re

from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolError
from braid.training.questions.program import (
    Answer,
    Branch,
    Builder,
    Calculate,
    Case,
    Item,
    Lookup,
    Rank,
    Ref,
    Toolset,
    render,
    variable,
)

_REASONS = (
    "nothing is known about {x}",
    "the atlas has no {n} of {x}",
    "the atlas has no {n} of {x}; it has: length, location, mouth",
    "no entry for {x}",
    "there is no {x} in the atlas",
    "not found",
    "timed out after 10 s",
    "HTTP 500",
    "search: {x} is unknown; did you mean something else?",
    "the service is not available",
)


def could_not_find(noun: str, entity: str) -> str:
    """How a plan says that a look-up came to nothing."""
    return f"I could not find the {noun} of {entity}."


def _value(rng: random.Random, value_field: str | None, unit_field: str | None) -> str:
    number = f"{rng.choice((rng.uniform(1, 100), rng.uniform(100, 9000), rng.randint(1, 10**7))):.7g}"
    if value_field is None:
        return number
    unit = rng.choice(("m", "km", "km2", "people", "kg", "km/h", "years", ""))
    if value_field == "value":
        return f"{number} {unit}".strip()
    return json.dumps(
        {value_field: float(number), **({unit_field: unit} if unit_field else {})}, separators=(",", ":")
    )


def later_round(
    rng: random.Random, program: Builder, tools: Toolset, *, beyond: bool = False
) -> tuple[str, str]:
    """What stands in the prompt behind the plan marker, and the plan of the round.

    With `beyond`, a plan that gives up is a `decline`, and half of the time it was not a look-up that failed
    but the first `calculate` or `rank`, if the plan has one.

    Raises:
        LookupError: the plan does not begin with look-ups.
    """
    if beyond and rng.random() < 0.5:
        return failed_call(rng, program, tools)
    lines = render(program, tools).splitlines(keepends=True)
    inside: set[int] = set()
    if isinstance(program.end, Branch):
        inside = {*program.end.then.steps, *program.end.otherwise.steps}
    first: list[tuple[int, Lookup]] = []
    for index, step in enumerate(program.steps):
        if not (isinstance(step, Lookup) and isinstance(step.entity, str)) or index in inside:
            break
        first.append((index, step))
    if not first:
        raise LookupError("the plan does not begin with look-ups")
    if rng.random() < 0.5:
        failed = rng.randrange(len(first))
        down = False
        shown: list[str] = []
        for index, step in first:
            line = lines[index].rstrip("\n")
            if index == failed:
                reason = rng.choice(_REASONS).format(x=step.entity, n=step.attribute)
                down = reason in _REASONS and reason != "not found"
                shown.append(f"# {line}  # failed: {reason}\n")
            else:
                shown.append(_done(rng, line, step, tools))
        noun, entity = first[failed][1].attribute, str(first[failed][1].entity)
        b = Builder()
        if beyond:
            b.decline(
                f"I could not look up the {noun} of {entity}: the tool failed."
                if down
                else could_not_find(noun, entity)
            )
        else:
            b.answer(could_not_find(noun, entity))
        return "".join(shown), render(b, tools)
    cut = rng.randint(1, len(first))
    noted = rng.random() < 0.7
    shown = [_done(rng, lines[i].rstrip("\n"), step, tools) if noted else lines[i] for i, step in first[:cut]]
    return "".join(shown), "".join(lines[cut:])


def _done(rng: random.Random, line: str, step: Lookup, tools: Toolset) -> str:
    tool = tools.lookup(step.attribute)
    return f"{line}  # {_value(rng, tool.value_field, tool.unit_field)}\n"


def failed_call(rng: random.Random, program: Builder, tools: Toolset) -> tuple[str, str]:
    """As `later_round`: the first `calculate` or `rank` failed, and the plan goes on in another way.

    Either the call was wrong, and the plan writes it right, or the tool is out of use, or a divisor is 0.

    Raises:
        LookupError: The plan has no such call behind its look-ups, or none that can fail in these ways.
    """
    lines = render(program, tools).splitlines(keepends=True)
    at = next((i for i, step in enumerate(program.steps) if isinstance(step, Calculate | Rank)), 0)
    looked: list[Lookup] = [step for step in program.steps[:at] if isinstance(step, Lookup)]
    if not looked or len(looked) < at or (isinstance(program.end, Branch) and program.end.then.steps):
        raise LookupError("no call that follows look-ups")
    line = lines[at].rstrip()
    values = [f"{rng.choice((rng.uniform(1, 100), rng.randint(100, 90000))):.7g}" for _ in looked]
    step = program.steps[at]
    expression = re.search(r'\(f?"(.*)"\)$', line)
    divisor = re.search(r" / \{(\w)[^}]*\}$", expression[1]) if expression else None
    b = Builder()
    rest = "".join(lines[at:])
    if divisor and rng.random() < 0.4:
        zero = ord(divisor[1]) - ord("a")
        values[zero] = "0"
        reason = f"{tools.calculate}: {_filled(line, values)} divides by zero"
        b.decline(f"I cannot divide by the {looked[zero].attribute} of {_name(looked[zero])}: it is 0.")
        rest = render(b, tools)
    elif expression:
        line = _misspelled(rng, line, looked, tools)
        try:
            _CALCULATE(_filled(line, values))
        except ToolError as error:
            reason = str(error).replace("calculate", tools.calculate, 1)[:160]
        else:
            raise LookupError("this is no error")
    elif isinstance(step, Rank):
        line, reason, rest = _unranked(rng, program, tools, at, lines)
    else:
        raise LookupError("this call cannot fail")
    done = [
        _shown(text, step, value, tools) for text, step, value in zip(lines, looked, values, strict=False)
    ]
    return "".join([*done, f"# {line}  # failed: {reason}\n"]), rest


def _name(step: Lookup) -> str:
    if not isinstance(step.entity, str):
        raise LookupError("its name is not known")
    return step.entity


def _filled(line: str, values: list[str]) -> str:
    """The expression of a call with the values put in."""
    found = re.search(r'\(f?"(.*)"\)$', line)
    if not found:
        raise LookupError("no expression")

    def value(match: re.Match[str]) -> str:
        return "m" if "unit" in match[0] or "uom" in match[0] else values[ord(match[1]) - ord("a")]

    return re.sub(r"\{(\w)[^}]*\}", value, found[1])


def _misspelled(rng: random.Random, line: str, looked: list[Lookup], tools: Toolset) -> str:
    """A call as models get it wrong: a bare percentage, units in the sum, a bracket missing, another function."""
    options = [
        re.sub(r" \* \(1 ([+-]) ([\d.]+) / 100\)", r" \1 \2%", line),
        re.sub(r"\)(?=[^)]*\"\)$)", "", line),
    ]
    if tools.calculate != "calculate":
        options = options[1:]
    tool = tools.lookup(looked[0].attribute)
    if tool.value_field and tool.unit_field and all(tools.lookup(s.attribute) == tool for s in looked):
        options.append(
            re.sub(
                rf"\{{(\w)\.{tool.value_field}\}}",
                rf"{{\1.{tool.value_field}}} {{\1.{tool.unit_field}}}",
                line,
            )
        )
    if mean := re.search(r'f"\((.*)\) / \d"', line):
        options.append(line.replace(mean[0], f'f"average({mean[1].replace(" + ", ", ")})"'))
    return rng.choice([option for option in options if option != line] or [line])


def _unranked(
    rng: random.Random, program: Builder, tools: Toolset, at: int, lines: list[str]
) -> tuple[str, str, str]:
    """A failed call that ranks, its reason, and the statements that go on."""
    step, name, line = program.steps[at], tools.rank.name if tools.rank else "", lines[at].rstrip()
    assert isinstance(step, Rank)
    if isinstance(step.names, Ref) or isinstance(step.values, Ref):
        raise LookupError("the names are a list of a step")
    names, refs = [n for n in step.names if isinstance(n, str)], step.values
    last = f", {program_value(program, tools, refs[-1])}]"
    if rng.random() < 0.4 and last in line and len(names) == len(refs):
        count = len(names)
        reason = f"{name}: there must be one value for each name, got {count} names and {count - 1} values"
        return line.replace(last, "]"), reason, "".join(lines[at:])
    reason = rng.choice((f"{name} timed out after 10 s", f"{name}: the service is not available", "HTTP 500"))
    b = Builder(list(program.steps[:at]))
    end = program.end
    if (
        end == Answer((Item(at, 0),))
        and len(names) == len(refs) == len(set(names))
        and len(program.steps) == at + 1
    ):
        parts: list[str | Ref] = ["max(" if step.descending else "min(", refs[0]]
        for ref in refs[1:]:
            parts += [", ", ref]
        best = b.calculate(*parts, ")")
        cases = [Case(((ref, "==", best),), Answer((n,))) for n, ref in zip(names[:-1], refs, strict=False)]
        b.cases(cases, Answer((names[-1],)))
        return line, reason, "".join(render(b, tools).splitlines(keepends=True)[at:])
    b.steps.clear()
    b.decline("I could not put them in order: the tool for that failed.")
    return line, reason, render(b, tools)


def program_value(program: Builder, tools: Toolset, ref: Ref) -> str:
    """How a plan writes the number that a step gives."""
    step = program.steps[ref.step]
    field = tools.lookup(step.attribute).value_field if isinstance(step, Lookup) else None
    return f"{variable(ref.step)}.{field}" if field else variable(ref.step)


def _shown(line: str, step: Lookup, value: str, tools: Toolset) -> str:
    """A look-up that is done, with this value."""
    tool = tools.lookup(step.attribute)
    if tool.value_field not in (None, "value"):
        value = json.dumps({tool.value_field: float(value)}, separators=(",", ":"))
    elif tool.value_field and tool.unit_field:
        value += " m"
    return f"{line.rstrip()}  # {value}\n"


(_CALCULATE,) = builtin_tools("calculate")


def listed_text(rng: random.Random, names: tuple[str, ...]) -> str:
    """Names as a tool may tell them in one text."""
    pick = rng.random()
    if pick < 0.5:
        return ", ".join(names)
    if pick < 0.7:
        return ", ".join(names[:-1]) + " and " + names[-1]
    if pick < 0.85:
        return "; ".join(names)
    return "There are " + ", ".join(names[:-1]) + " and " + names[-1] + "."
