"""Later rounds: what a plan looks like that goes on from results, or that must say what could not be found.

The prompt of a later round ends with the statements that are done, each with its result as a comment, and
those that failed, commented out (`braid.planner.prompts.history.finished_statements`).
"""

from __future__ import annotations

import json
import random

from braid.training.questions.program import Branch, Builder, Lookup, Toolset, render

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


def later_round(rng: random.Random, program: Builder, tools: Toolset) -> tuple[str, str]:
    """What stands in the prompt behind the plan marker, and the plan of the round.

    Raises:
        LookupError: the plan does not begin with look-ups.
    """
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
        shown: list[str] = []
        for index, step in first:
            line = lines[index].rstrip("\n")
            if index == failed:
                reason = rng.choice(_REASONS).format(x=step.entity, n=step.attribute)
                shown.append(f"# {line}  # failed: {reason}\n")
            else:
                shown.append(_done(rng, line, step, tools))
        noun, entity = first[failed][1].attribute, str(first[failed][1].entity)
        b = Builder()
        b.answer(could_not_find(noun, entity))
        return "".join(shown), render(b, tools)
    cut = rng.randint(1, len(first))
    noted = rng.random() < 0.7
    shown = [_done(rng, lines[i].rstrip("\n"), step, tools) if noted else lines[i] for i, step in first[:cut]]
    return "".join(shown), "".join(lines[cut:])


def _done(rng: random.Random, line: str, step: Lookup, tools: Toolset) -> str:
    tool = tools.lookup(step.attribute)
    return f"{line}  # {_value(rng, tool.value_field, tool.unit_field)}\n"


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
