"""Questions that ask for tools of any kind: "Translate 'good night' into French, then mail it to Ana".

They teach the model to choose a tool by its description and to copy its arguments from the question.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from braid.executors.tools import ToolSpec
from braid.training.questions import invented_names as names
from braid.training.questions.program import Builder, Ref
from braid.training.questions.template import phrases, words
from braid.training.questions.tools.toolsets import NUM, STR, Schema, parameters

_VERBS = words(
    "translate send convert book play open close measure water paint clean count mark scan print ship "
    "invite call map weigh sketch sort bake tune check read sell rent trace file label"
)
_OBJECTS = phrases(
    "a text|a message|a file|a room|a song|a plant|a part|a parcel|a guest|a page|a photo|a list|a "
    "record|a device|an item|a note"
)
_LINKS = ("to", "into", "for", "with", "in", "at", "from")
_TARGETS = phrases(
    "a language|a person|a place|a colour|a city|a format|a day|a customer|a shelf|a machine|a team|a topic"
)
_PARAMETERS = words(
    "text name item subject what file title value target place to language person day unit mode colour key id"
)


_OPTIONS: tuple[tuple[str, Schema, tuple[str, ...]], ...] = (
    (
        "limit",
        {"type": "integer", "default": 10},
        ("at most {v} of them", "limit {v}", "no more than {v}", "with a limit of {v}"),
    ),
    ("count", {"type": "integer", "default": 1}, ("{v} times", "{v} of them", "with count {v}")),
    ("days", {"type": "integer", "default": 1}, ("for {v} days", "over {v} days", "{v} days")),
    ("loud", {"type": "boolean", "default": False}, ("loudly", "loud please", "and make it loud")),
    ("urgent", {"type": "boolean", "default": False}, ("urgently", "it is urgent", "with urgency")),
    (
        "style",
        {"enum": ["plain", "formal", "short"], "default": "plain"},
        ("in {v} style", "style {v}", "make it {v}"),
    ),
    (
        "size",
        {"enum": ["small", "medium", "large"], "default": "medium"},
        ("in size {v}", "size {v}", "{v} size"),
    ),
    ("colour", {"type": "string", "default": "black"}, ("in {v}", "colour {v}", "with colour {v}")),
)
_COLOURS = words("red blue green yellow white purple orange pink grey brown")


@dataclass(frozen=True)
class Errand:
    """A tool for errands and how its orders are worded."""

    verb: str
    noun: str
    link: str
    arity: int
    numeric: bool
    option: tuple[str, Schema, tuple[str, ...]] | None
    spec: ToolSpec


@dataclass(frozen=True)
class Errands:
    """Questions about unfamiliar tools with their programs, and the tools."""

    questions: list[tuple[str, Builder]]
    specs: list[ToolSpec]


def draw_errands(rng: random.Random, questions: int = 1) -> Errands:
    """Questions of one to three errands, for a tool each. Now and then one takes the result of another."""
    verbs = rng.sample(_VERBS, rng.randint(2, 7))
    if rng.random() < 0.4:
        verbs = [names.word(rng, accents=0.0) if rng.random() < 0.6 else verb for verb in verbs]
    if len(set(verbs)) < len(verbs):
        raise LookupError("two errands drew the same verb")
    tools = [_errand(rng, verb) for verb in verbs]
    specs = [tool.spec for tool in tools]
    if len({spec.name for spec in specs}) < len(specs):
        raise LookupError("two tools drew the same name")
    drawn = [_question(rng, tools) for _ in range(questions)]
    rng.shuffle(specs)
    return Errands(drawn, specs)


def _errand(rng: random.Random, verb: str) -> Errand:
    thing, link, target = rng.choice(_OBJECTS), rng.choice(_LINKS), rng.choice(_TARGETS)
    arity = rng.choices((0, 1, 2), (1, 4, 4))[0]
    numeric = arity > 0 and rng.random() < 0.15
    first, second = rng.sample(_PARAMETERS, 2)
    properties: dict[str, Schema] = {}
    if arity:
        properties[first] = NUM if numeric else STR
    if arity == 2:
        properties[second] = STR
    option = rng.choice(_OPTIONS) if rng.random() < 0.35 else None
    if option and option[0] not in properties:
        properties[option[0]] = dict(option[1])
    else:
        option = None
    noun = thing.split()[-1]
    name = rng.choice((verb, f"{verb}_{noun}", f"do_{verb}", names.identifier(rng), names.identifier(rng)))
    spec = ToolSpec(
        name=name,
        description=f"{verb} {thing}" + (f" {link} {target}" if arity == 2 else ""),
        parameters=parameters(properties),
        returns=rng.choice((STR, STR, NUM, {"type": "boolean"})),
    )
    return Errand(verb, noun, link, arity, numeric, option, spec)


def _question(rng: random.Random, tools: list[Errand]) -> tuple[str, Builder]:
    count = min(len(tools), rng.choices((1, 2, 3), (5, 3, 1))[0])
    b = Builder()
    clauses: list[str] = []
    result: Ref | None = None
    for tool in rng.sample(tools, count):
        clause = f"{tool.verb} {'the ' + tool.noun if tool.arity == 0 else ''}".strip()
        arguments: list[str | int | float | Ref] = []
        keywords: dict[str, str | int | bool] = {}
        if tool.arity:
            if tool.numeric:
                number = rng.choice((rng.randint(1, 999), round(rng.uniform(0, 100), 1)))
                clause = f"{clause} {number}"
                arguments.append(number)
            elif result is not None and rng.random() < 0.5:
                clause = f"{clause} {rng.choice(('the result', 'that', 'it'))}"
                arguments.append(result)
            else:
                value = (
                    names.proper_name(rng)
                    if rng.random() < 0.5
                    else " ".join(names.word(rng) for _ in range(rng.randint(1, 4)))
                )
                quote = rng.choice(("", "", '"', "'")) if "'" not in value else ""
                clause = f"{clause} {quote}{value}{quote}"
                arguments.append(value)
            if tool.arity == 2:
                value = names.proper_name(rng)
                clause = f"{clause} {tool.link} {value}"
                arguments.append(value)
        if tool.option and rng.random() < 0.6:
            name, schema, phrasings = tool.option
            chosen: str | int | bool
            if "enum" in schema:
                chosen = rng.choice(schema["enum"])
            elif schema["type"] == "boolean":
                chosen = True
            elif schema["type"] == "integer":
                chosen = rng.randint(2, 60)
            else:
                chosen = rng.choice(_COLOURS)
            keywords[name] = chosen
            clause = f"{clause}{rng.choice((' ', ', '))}{rng.choice(phrasings).format(v=chosen)}"
        clauses.append(clause)
        result = b.call(tool.spec.name, *arguments, **keywords)
    assert result is not None
    b.answer(result)
    glue = rng.choice((", then ", " and then ", ". Then ", " and ", "; ", ", and after that "))
    question = glue.join(clauses)
    opening = rng.choice(
        (
            "",
            "",
            "",
            "please ",
            "can you ",
            "I want you to ",
            "now ",
            "could you ",
            "go and ",
            "I need you to ",
            "would you ",
        )
    )
    question = opening + question
    end = "?" if question.startswith(("can you", "could", "would")) else rng.choice((".", ".", "", "!"))
    question = question[:1].upper() + question[1:] + end
    return question, b
