"""Questions about lists that a tool gives at run time: "Which of the rivers of Arland is the longest?"."""

from __future__ import annotations

import random
from dataclasses import dataclass

from braid.executors.tools import ToolSpec
from braid.training.questions import invented_names as names
from braid.training.questions.families import adjective
from braid.training.questions.program import Builder, Item, Toolset
from braid.training.questions.template import Choice, plural
from braid.training.questions.templates import NUMERIC, Attribute
from braid.training.questions.tools.toolsets import STR, Schema, parameters

_GROUPS: dict[str, tuple[str, ...]] = {
    "country": ("country", "region", "state"),
    "place": ("country", "city", "region", "park"),
    "group": ("group", "club", "company", "school"),
}
_KINDS = (
    "river",
    "mountain",
    "lake",
    "city",
    "island",
    "bridge",
    "building",
    "tower",
    "volcano",
    "desert",
    "animal",
    "ship",
    "train",
    "planet",
    "moon",
    "state",
)
_OWNERS = (
    "country",
    "country",
    "region",
    "state",
    "park",
    "company",
    "continent",
    "system",
    "area",
    "county",
)


@dataclass(frozen=True)
class Listing:
    """A tool that lists the things of one kind that belong to something.

    Args:
        as_text: the result is one text and not a list. A plan has to wait for it and go on in another round.
        limited: the tool has an optional limit.
    """

    kind: str
    owner: str
    as_text: bool
    limited: bool
    spec: ToolSpec


def draw_listing(rng: random.Random, *, odd: bool) -> Listing:
    """A tool that lists things, with invented words if `odd`."""
    kind, owner = rng.choice(_KINDS), rng.choice(_OWNERS)
    kinds = plural(kind)
    as_text = rng.random() < 0.25
    limited = not as_text and rng.random() < 0.3
    name = rng.choice(
        (
            f"list_{kinds}",
            kinds,
            f"{kinds}_of",
            f"get_{kinds}",
            f"{owner}_{kinds}",
            f"find_{kinds}",
            f"all_{kinds}",
            f"{kinds}_in",
        )
    )
    if odd and rng.random() < 0.5:
        name = names.identifier(rng)
    properties: dict[str, Schema] = {rng.choice((owner, "name", "of", "place", "parent")): STR}
    if limited:
        properties["limit"] = {"type": "integer", "default": rng.choice((5, 10, 20, 50))}
    listing: Schema = {"type": "array", "items": STR}
    text = rng.choice(
        (
            f"the {kinds} of a {owner}",
            f"list the {kinds} in a {owner}",
            f"names of all {kinds} of a {owner}",
            f"{kinds} by {owner}",
        )
    )
    if as_text:
        text += rng.choice((", as text", ", in a sentence", ", comma separated", ""))
    return Listing(
        kind,
        owner,
        as_text,
        limited,
        ToolSpec(
            name=name,
            description=text,
            parameters=parameters(properties),
            returns=STR if as_text else listing,
        ),
    )


def attribute_for(rng: random.Random, kind: str) -> Attribute:
    """An attribute that things of the kind have."""
    return rng.choice([a for a in NUMERIC if kind in a.kinds and not a.dated])


@dataclass(frozen=True)
class ListQuestion:
    """A question about a listing. Where the listing is a text, `found` are the names that it gives."""

    question: str
    program: Builder
    entities: tuple[str, ...]
    found: tuple[str, ...] = ()


def draw_list_question(
    rng: random.Random, listing: Listing, attribute: Attribute, toolset: Toolset
) -> ListQuestion:
    """A question for the toolset's look-ups.

    Raises:
        LookupError: The tools cannot rank what the look-ups give.
    """
    c = Choice(rng)
    owner = names.proper_name(rng, listing.owner)
    kinds = plural(listing.kind)
    up = rng.random() < 0.65
    noun = rng.choice(attribute.words)
    most = adjective(c, attribute, up=up, superlative=True)
    tool = toolset.lookup(attribute.noun)
    kind = rng.choices(("best", "order", "each", "list", "some"), (6, 2, 3, 2, 2 if listing.limited else 0))[
        0
    ]
    b = Builder()
    if listing.as_text:
        return _text_question(rng, c, listing, attribute, toolset, owner, most)
    limit = rng.randint(2, 12)
    if kind == "some":
        question = c.frame(
            "[list|name|give me|show me|find] {v} {ks} [of|in] {x}",
            "[which|what] are {v} {ks} [of|in] {x}",
            "I [need|want] {v} {ks} [of|in] {x}",
            v=str(limit),
            ks=kinds,
            x=owner,
        )
        b.answer(b.call(listing.spec.name, owner, limit=limit))
        return ListQuestion(question, b, (owner,))
    found = b.call(listing.spec.name, owner)
    if kind == "list":
        question = c.frame(
            "[which|what] {ks} [are there in|does|are in|belong to] {x}".replace("does|", ""),
            "[list|name|give me|show me|tell me|find] [all|the|all the|] {ks} [of|in] {x}",
            "[what are|which are] the {ks} [of|in] {x}",
            "{ks} [of|in] {x}",
            ks=kinds,
            x=owner,
        )
        b.answer(found)
        return ListQuestion(question, b, (owner,))
    values = b.look_each(attribute.noun, found)
    if kind == "each":
        question = c.frame(
            "what is the {n} of each [of the {ks}|{k}] [of|in] {x}",
            "[give me|list|find|look up|tell me] the {n} of [each|every|all the] {ks} [of|in] {x}".replace(
                "[each|every|all the] {ks}", "[each {k}|every {k}|all {ks}|all the {ks}|the {ks}]"
            ),
            "[list|name] the {ks} [of|in] {x} with their {n}",
            "for [each|every] {k} [of|in] {x}, [find|give me|look up] the {n}",
            n=noun,
            k=listing.kind,
            ks=kinds,
            x=owner,
        )
        if " with their " in question:
            b.answer(found, ": ", values)
        else:
            b.answer(values)
        return ListQuestion(question, b, (owner,))
    if toolset.rank is None or tool.value_field not in (None, "value"):
        raise LookupError("the tools cannot rank what the look-ups give")
    order = b.rank(found, values, descending=up)
    if kind == "order":
        question = c.frame(
            "[rank|sort|order|arrange] [the|all|all the|] {ks} [of|in] {x} by {n}{d}",
            "[rank|sort|order] the {ks} [of|in] {x} [from|starting with] the {m}",
            "what is the order of the {ks} [of|in] {x} by {n}{d}",
            d=f", {rng.choice(('largest', 'highest'))} first"
            if up
            else f", {rng.choice(('smallest', 'lowest'))} first",
            m=most or f"{'greatest' if up else 'smallest'} in {noun}",
            n=noun,
            ks=kinds,
            x=owner,
        )
        b.answer(order)
        return ListQuestion(question, b, (owner,))
    question, then = _best_question(rng, c, listing, attribute, owner, most, up)
    if then:
        b.answer(Item(order.step, 0), " and ", Item(order.step, 1))
    else:
        b.answer(Item(order.step, 0))
    return ListQuestion(question, b, (owner,))


def _best_question(
    rng: random.Random, c: Choice, listing: Listing, attribute: Attribute, owner: str, most: str, up: bool
) -> tuple[str, bool]:
    noun = rng.choice(attribute.words)
    extreme = rng.choice(
        ("greatest", "largest", "highest", "biggest") if up else ("smallest", "lowest", "least")
    )
    patterns = [
        "which {k} [of|in] {x} has the {e} {n}",
        "which of the {ks} [of|in] {x} has the {e} {n}",
        "[find|name|tell me|give me] the {k} [of|in] {x} with the {e} {n}",
        "[of|among] [all|] the {ks} [of|in] {x}, which has the {e} {n}",
    ]
    words = {"k": listing.kind, "ks": plural(listing.kind), "x": owner, "n": noun, "e": extreme, "m": most}
    if most:
        if rng.random() < 0.12:
            return c.frame(
                "[which|what] are the two {m} {ks} [of|in] {x}",
                "[name|find|list] the two {m} {ks} [of|in] {x}",
                **words,
            ), True
        patterns += [
            "[which|what] is the {m} {k} [of|in] {x}",
            "which of the {ks} [of|in] {x} is the {m}",
            "which {k} [of|in] {x} is the {m}",
            "[find|name|tell me|give me|look up] the {m} {k} [of|in] {x}",
            "[of|among] the {ks} [of|in] {x}, which is the {m}",
            "{x}'s {m} {k}",
            "what is {x}'s {m} {k}",
            "{m} {k} [of|in] {x}",
        ]
    return c.frame(*patterns, **words), False


def _text_question(
    rng: random.Random,
    c: Choice,
    listing: Listing,
    attribute: Attribute,
    toolset: Toolset,
    owner: str,
    most: str,
) -> ListQuestion:
    """A listing that is a text. The next round reads its names. `program` has both rounds."""
    up = rng.random() < 0.65
    if toolset.rank is None:
        raise LookupError("the tools cannot rank")
    question, two = _best_question(
        rng, c, listing, attribute, owner, adjective(c, attribute, up=up, superlative=True), up
    )
    if two:
        raise LookupError("two of a text are not asked for")
    found = tuple(dict.fromkeys(names.proper_name(rng, listing.kind) for _ in range(rng.randint(2, 4))))
    b = Builder()
    b.call(listing.spec.name, owner)
    values = [b.look(attribute.noun, name) for name in found]
    b.answer(Item(b.rank(found, values, descending=up).step, 0))
    return ListQuestion(question, b, (owner,), found)
