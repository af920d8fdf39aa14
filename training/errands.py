"""Questions that ask for tools of any kind: "Translate 'good night' into French, then mail it to Ana".

They teach the model to choose a tool by its description and to copy its arguments from the question.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from evals.planning_set.program import Builder, Ref
from evals.planning_set.wording import phrases, words
from executors.tools import ToolSpec
from training import names
from training.toolbox import NUM, STR, Schema, parameters

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


@dataclass(frozen=True)
class Errands:
    """A question about one or several unfamiliar tools, its program, and the tools."""

    question: str
    program: Builder
    specs: list[ToolSpec]


def draw_errands(rng: random.Random) -> Errands:
    """One to three errands, each for another tool; now and then one takes the result of the one before."""
    count = rng.choices((1, 2, 3), (5, 3, 1))[0]
    verbs = rng.sample(_VERBS, count + rng.randint(0, 3))
    if rng.random() < 0.4:
        verbs = [names.word(rng, accents=0.0) if rng.random() < 0.6 else verb for verb in verbs]
    if len(set(verbs)) < len(verbs):
        raise LookupError("two errands drew the same verb")
    b = Builder()
    clauses: list[str] = []
    specs: list[ToolSpec] = []
    result: Ref | None = None
    for index, verb in enumerate(verbs):
        thing, link, target = rng.choice(_OBJECTS), rng.choice(_LINKS), rng.choice(_TARGETS)
        arity = rng.choices((0, 1, 2), (1, 4, 4))[0]
        numeric = arity > 0 and rng.random() < 0.15
        first, second = rng.sample(_PARAMETERS, 2)
        properties: dict[str, Schema] = {}
        if arity:
            properties[first] = NUM if numeric else STR
        if arity == 2:
            properties[second] = STR
        noun = thing.split()[-1]
        name = rng.choice(
            (verb, f"{verb}_{noun}", f"do_{verb}", names.identifier(rng), names.identifier(rng))
        )
        if name in [spec.name for spec in specs]:
            raise LookupError(f"two tools are called {name!r}")
        text = f"{verb} {thing}" + (f" {link} {target}" if arity == 2 else "")
        specs.append(
            ToolSpec(
                name=name,
                description=text,
                parameters=parameters(properties),
                returns=rng.choice((STR, STR, NUM, {"type": "boolean"})),
            )
        )
        if index >= count:
            continue
        clause, arguments = f"{verb} {'the ' + noun if arity == 0 else ''}".strip(), []
        if arity:
            if numeric:
                number = rng.choice((rng.randint(1, 999), round(rng.uniform(0, 100), 1)))
                clause, arguments = f"{clause} {number}", [number]
            elif result is not None and rng.random() < 0.5:
                clause, arguments = f"{clause} {rng.choice(('the result', 'that', 'it'))}", [result]
            else:
                value = (
                    names.proper_name(rng)
                    if rng.random() < 0.5
                    else " ".join(names.word(rng) for _ in range(rng.randint(1, 4)))
                )
                quote = rng.choice(("", "", '"', "'")) if "'" not in value else ""
                clause, arguments = f"{clause} {quote}{value}{quote}", [value]
            if arity == 2:
                value = names.proper_name(rng)
                clause, arguments = f"{clause} {link} {value}", [*arguments, value]
        clauses.append(clause)
        result = b.call(name, *arguments)
    assert result is not None
    b.answer(result)
    glue = rng.choice((", then ", " and then ", ". Then ", " and "))
    question = glue.join(clauses)
    question = rng.choice(("", "", "please ", "can you ", "I want you to ", "now ")) + question
    end = "?" if question.startswith("can you") else rng.choice((".", ".", "", "!"))
    rng.shuffle(specs)
    return Errands(question[:1].upper() + question[1:] + end, b, specs)
