"""Training examples: questions, tools drawn at random, and the plans for these tools.

Examples are drawn in groups that share their tools, so that the tools stand only once in a training sequence.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from braid.executors.tools import ToolSpec
from braid.planner.prompts import MAX_TOOLS, STOP, compact_prompt
from braid.training.questions import (
    FAMILIES,
    FAMILIES_BEYOND,
    MIRRORED,
    NONCE_SHARE,
    REFUSED_WORDS,
    Atlas,
    Builder,
    Calculate,
    Call,
    Choice,
    Drawn,
    Invented,
    Lookup,
    LookupEach,
    Rank,
    SameThings,
    Toolset,
    World,
    draw,
    draw_thought,
    dressed,
    estranged,
    forbidden_text,
    later_round,
    listed_text,
    load_atlas,
    render,
)
from braid.training.questions.families import Draft
from braid.training.questions.templates import NAMED
from braid.training.questions.tools import (
    Listing,
    ListQuestion,
    Toolbox,
    attribute_for,
    builtin_toolbox,
    draw_errands,
    draw_list_question,
    draw_listing,
    draw_service,
    draw_toolbox,
)

_NAMED_NOUNS = frozenset(attribute.noun for attribute in NAMED)


@dataclass(frozen=True)
class Example:
    """What the model reads and what it should write."""

    prompt: str
    """Ends behind the plan marker, or behind the statements of earlier rounds."""
    plan: str
    """The statements and the stop token."""
    names: tuple[str, ...]
    """What must be copied from the question."""
    tools: tuple[str, ...]
    """Names of the tools that the plan calls."""
    question: str = ""
    program: str = ""
    """The whole plan for the built-in tools. Empty where it was not made from a program of the families."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Shares of the training data. The names stand in the recorded recipes of models."""

    atlas: float = 0.3
    """Groups about real things (the training part of the atlas)."""
    errands: float = 0.04
    """Groups that ask for calls of unfamiliar tools."""
    no_ranker: float = 0.1
    """Groups for which no ranking tool is offered."""
    lists: float = 0.14
    """Groups with a tool that lists things, and questions about its lists."""
    thoughts: float = 0.03
    """Open-ended questions, which end in a `think`."""
    services: float = 0.05
    """Questions for the other tools at hand, where there are any."""
    rounds: float = 0.05
    """Questions that are shown in a later round."""
    beyond: float = 0.0
    """Questions of the families beyond the planning set. Then nothing that is held out is drawn, refusals are
    `decline` with a reason, and what failed in a later round may be any call."""
    mirrored: float = 0.0
    """Groups that ask the same two things in several directions and with several operations."""
    builtin: float = 0.38
    """Groups with the tools that `braid run` gives."""
    nonsense: float = 0.35
    """Groups with tools whose names mean nothing. The rest has readable tools."""


DEFAULT_MIXTURE = Mixture()
BEYOND_MIXTURE = Mixture(
    atlas=0.45,
    errands=0.03,
    no_ranker=0.04,
    lists=0.08,
    services=0.03,
    rounds=0.06,
    beyond=0.68,
    mirrored=0.2,
    builtin=0.62,
    nonsense=0.05,
)
"""For a pretrained model, which knows the words and must learn the structures."""
PLAIN_MIXTURE = Mixture(atlas=0.0, errands=0.0, lists=0.0, thoughts=0.0, services=0.0, rounds=0.0)
"""Questions of the planning set about invented things, and nothing else."""


def draw_example(
    rng: random.Random, mixture: Mixture = DEFAULT_MIXTURE, *, held_out: bool = False
) -> Example:
    """A fresh example. With `held_out` it has wording that training never shows."""
    return draw_group(rng, mixture, size=1, held_out=held_out)[0]


def draw_group(
    rng: random.Random, mixture: Mixture = DEFAULT_MIXTURE, *, size: int, held_out: bool = False
) -> list[Example]:
    """`size` fresh examples for the same tools."""
    while True:
        try:
            if rng.random() < mixture.errands and not held_out:
                group = _unfamiliar_calls(rng, size)
            else:
                group = _questions(rng, mixture, size, held_out=held_out)
        except LookupError:
            continue
        if mixture.beyond and not held_out:
            group = [example for example in group if forbidden(example) is None]
        if group:
            return group


def forbidden(example: Example) -> str | None:
    """Why a model must not be trained on the example, or None: it shows what is held out or frozen."""
    return forbidden_text(example.question, example.program)


def _unfamiliar_calls(rng: random.Random, size: int) -> list[Example]:
    errands = draw_errands(rng, size)
    return [
        _example(question, program, Toolset(), errands.specs, ()) for question, program in errands.questions
    ]


def _questions(rng: random.Random, mixture: Mixture, size: int, *, held_out: bool) -> list[Example]:
    world: World = _ATLAS if rng.random() < mixture.atlas else _PLAINER if mixture.beyond else _INVENTED
    ranker = rng.random() >= mixture.no_ranker
    listing: Listing | None = None
    if rng.random() < mixture.lists and not held_out:
        listing = draw_listing(rng, odd=rng.random() < 0.4)
    asked = attribute_for(rng, listing.kind) if listing else None
    listed = max(1, round(size * 0.5)) if listing else 0
    drawn = [
        _open_ended(rng, world)
        if rng.random() < mixture.thoughts and not held_out
        else _draw(rng, mixture, world, held_out=held_out, ranker=ranker)
        for _ in range(size - listed)
    ]
    if rng.random() < mixture.mirrored and not held_out:
        drawn[: size // 2] = _mirrored(rng, world, size // 2)
    steps = [step for d in drawn for step in d.program.steps]
    attributes = [
        (
            step.attribute,
            "place" if isinstance(step, LookupEach) or isinstance(step.entity, str) else "thing",
            step.attribute not in _NAMED_NOUNS,
        )
        for step in steps
        if isinstance(step, (Lookup, LookupEach))
    ]
    if asked:
        attributes.append((asked.noun, "thing", True))
    box = draw_toolbox(
        rng,
        attributes,
        ranker=ranker,
        calculator=any(isinstance(step, Calculate) for step in steps),
        ranks=any(isinstance(step, Rank) for step in steps),
        more=[listing.spec] if listing else [],
        moods=(mixture.builtin, 1 - mixture.builtin - mixture.nonsense, mixture.nonsense),
        described=0.1 if mixture.beyond else 0.35,
    )
    if len(box.specs) > MAX_TOOLS:
        raise LookupError("more tools than a prompt shows")
    examples: list[Example] = []
    for d in drawn:
        if _contradicted(d, box) or _unrankable(d.program, box.toolset):
            continue
        if rng.random() < mixture.services and not held_out:
            try:
                question, program = draw_service(rng, box.specs)
                examples.append(_example(question, program, box.toolset, box.specs, ()))
                continue
            except LookupError:
                pass
        if rng.random() < mixture.rounds and not held_out:
            try:
                before, plan = later_round(rng, d.program, box.toolset, beyond=mixture.beyond > 0)
                examples.append(
                    Example(
                        compact_prompt(d.question, box.specs, plan_so_far=before),
                        plan + STOP,
                        (),
                        (),
                        d.question,
                        render(d.program, Toolset()),
                    )
                )
                continue
            except LookupError:
                pass
        examples.append(_example(d.question, d.program, box.toolset, box.specs, d.entities))
    if listing and asked:
        for _ in range(listed):
            try:
                examples += _about_list(
                    rng, listing, draw_list_question(rng, listing, asked, box.toolset), box
                )
            except LookupError:
                continue
    if not examples:
        raise LookupError("none of the questions goes with the tools")
    return examples


def _draw(rng: random.Random, mixture: Mixture, world: World, *, held_out: bool, ranker: bool) -> Drawn:
    """A question of the planning set or, in a share of the draws, one of the families beyond it."""
    if not mixture.beyond:
        return _with_nonce_words(rng, draw(rng, world, held_out=held_out, ranker=ranker), held_out=held_out)
    families = FAMILIES_BEYOND if rng.random() < mixture.beyond else _ANSWERED
    drawn = draw(rng, world, held_out=held_out, ranker=ranker, families=families)
    if " 0.0 " in drawn.question:
        raise LookupError("nobody changes a length by 0.0 m")
    return drawn


def _mirrored(rng: random.Random, world: World, size: int) -> list[Drawn]:
    """Questions that ask the same two things in several directions and with several operations."""
    attribute, _ = world.comparable(random.Random(f"{(seed := rng.getrandbits(64))}/2"), 2)
    if attribute.dated or not attribute.more or not attribute.how:
        raise LookupError("these are not set against each other in many ways")
    same = SameThings(world, seed)
    return [draw(rng, same, held_out=False, families=MIRRORED) for _ in range(size)]


def _with_nonce_words(rng: random.Random, d: Drawn, *, held_out: bool) -> Drawn:
    """The same question, now and then with nonce words. Its answer must repeat nothing but names."""
    if held_out or d.family == "greater-one" or rng.random() > NONCE_SHARE:
        return d
    return replace(d, question=estranged(rng, d.question, d.entities))


def _open_ended(rng: random.Random, world: World) -> Drawn:
    while True:
        try:
            draft: Draft = draw_thought(Choice(rng), world)
        except LookupError:
            continue
        names = tuple(thing.name for thing in draft.things)
        question = dressed(Choice(rng), draft.question, (*names, *draft.verbatim))
        # An opening may have taken the capital of an open-ended question that stands first.
        if not all(text in question for text in draft.verbatim):
            continue
        return Drawn(
            family="thought",
            template="thought",
            question=question,
            program=draft.program,
            entities=names if draft.copied else (),
            answer="",
        )


_DOING = (
    "send",
    "book",
    "alarm",
    "play",
    "draw",
    "translate",
    "write",
    "appointments",
    "directions",
    "summarize",
    "song",
)


def _contradicted(d: Drawn, box: Toolbox) -> bool:
    """Whether a tool in the box fits a question that its plan declines or leaves to the model."""
    if d.family == "refused":
        return any(
            word in f"{spec.name} {spec.description}".lower()
            for spec in box.specs
            if spec.name not in _BUILTIN_NAMES
            for word in REFUSED_WORDS
        )
    if d.family not in ("declined", "thought"):
        return False
    return any(word in spec.description.lower() for spec in box.specs for word in _DOING)


def _unrankable(program: Builder, toolset: Toolset) -> bool:
    """Whether the plan ranks by the results of a map of look-ups, and these are records without a `value`."""
    return any(
        isinstance(step, LookupEach) and toolset.lookup(step.attribute).value_field not in (None, "value")
        for step in program.steps
    )


def _about_list(rng: random.Random, listing: Listing, asked: ListQuestion, box: Toolbox) -> list[Example]:
    question = dressed(Choice(rng), asked.question + rng.choice(("?", "?", ".")), asked.entities)
    if not asked.found:
        return [_example(question, asked.program, box.toolset, box.specs, asked.entities)]
    lines = render(asked.program, box.toolset).splitlines(keepends=True)
    first, rest = lines[0], "".join(lines[1:])
    before = f"{first.rstrip()}  # {listed_text(rng, asked.found)}\n"
    return [
        Example(
            compact_prompt(question, box.specs), first + STOP, asked.entities, (listing.spec.name,), question
        ),
        Example(compact_prompt(question, box.specs, plan_so_far=before), rest + STOP, (), (), question),
    ]


def _example(
    question: str,
    program: Builder,
    toolset: Toolset,
    specs: Sequence[ToolSpec],
    names: tuple[str, ...],
) -> Example:
    return Example(
        compact_prompt(question, specs),
        render(program, toolset) + STOP,
        names,
        _called(program, toolset),
        question,
        "" if any(isinstance(step, Call) for step in program.steps) else render(program, Toolset()),
    )


def _called(program: Builder, toolset: Toolset) -> tuple[str, ...]:
    names: list[str] = []
    for step in program.steps:
        match step:
            case Lookup(attribute) | LookupEach(attribute):
                names.append(toolset.lookup(attribute).name)
            case Calculate():
                names.append(toolset.calculate)
            case Rank():
                names.append(toolset.rank.name if toolset.rank else "")
            case Call(tool):
                names.append(tool)
            case _:
                pass
    return tuple(dict.fromkeys(names))


_INVENTED = Invented()
_PLAINER = Invented(odd_attributes=0.07, links=("capital", "country", "continent"))
"""Fewer attributes that nobody has heard of, and links that the built-in `search` answers with a name."""
_ANSWERED = {name: family for name, family in FAMILIES.items() if name != "declined"}
_BUILTIN_NAMES = frozenset(spec.name for spec in builtin_toolbox())
_ATLAS: Atlas = load_atlas("train")
