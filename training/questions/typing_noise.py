"""How people really type: opening words and thanks, no capitals, no question mark, slips of the finger.

Names and whatever else the plan has to copy are left as they are, except that a question in small letters has
its names in small letters too, and so has its plan.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from braid.training.questions.program import (
    Answer,
    Block,
    Branch,
    Builder,
    Call,
    Case,
    Cases,
    Lookup,
    LookupEach,
    Part,
    Rank,
    Step,
)
from braid.training.questions.template import Choice, sentence

_OPENINGS = (
    "[hi|hello|hey|hi there|good morning|hey there][,|!|]",
    "[quick|simple|short|random|one more|another|silly] question[:|,| -]",
    "[please|pls|plz][,|]",
    "[I was wondering|I wonder|just wondering|out of curiosity|just curious|I'm curious|for a quiz|for my homework|for a bet|help me settle a bet][:|,| -]",
    "[ok|okay|so|now|well|right|alright|ok so][,|]",
    "[tell me|answer this|answer me this|here's one|here is one for you|next one|question|task|riddle][:|,]",
    "[my son asks|my teacher asks|a friend asks|someone asked me|we were arguing about this][:|,]",
    "[can you help me|could you help|I need your help|help][:|,|?|.]",
)
_HELD_OPENINGS = (
    "[riddle me this|let's see|do tell][:|,]",
    "[if you don't mind|when you have a minute][,|:]",
)
_CLOSINGS = (
    "thanks",
    "thank you",
    "please",
    "thanks!",
    "any idea?",
    "thx",
    "I can't remember",
    "cheers",
    "just the answer please",
    "do you know?",
)


def dressed(c: Choice, question: str, verbatim: Sequence[str]) -> str:
    """The question as a person might type it. `verbatim` are its parts that must stay letter by letter."""
    rng = c.rng
    if rng.random() < 0.14:
        opening = c.fill(rng.choice(_OPENINGS if not c.held_out or rng.random() < 0.6 else _HELD_OPENINGS))
        question = f"{opening} {question[:1].upper() + question[1:] if opening.endswith(('!', '.', '?')) else question}"
    if rng.random() < 0.05:
        question = f"{question.rstrip()} {rng.choice(_CLOSINGS).capitalize()}"
    question = sentence(question)
    if rng.random() < 0.12:
        question = question.rstrip("?.!")
    if rng.random() < 0.07:
        question = _slip(rng, question, verbatim)
    if rng.random() < 0.03 and not any("'" in part for part in verbatim):
        question = question.replace("'", "’")
    return question


def free_words(question: str, pattern: str, verbatim: Sequence[str]) -> list[re.Match[str]]:
    """What matches `pattern` and touches none of the parts that must stay letter by letter."""
    kept = [m.span() for part in verbatim for m in re.finditer(re.escape(part), question, re.IGNORECASE)]
    return [
        m
        for m in re.finditer(pattern, question)
        if not any(start < m.end() and m.start() < end for start, end in kept)
    ]


def _slip(rng: random.Random, question: str, verbatim: Sequence[str]) -> str:
    """One or two words misspelled: letters swapped, doubled, left out, or a neighbour's."""
    words = free_words(question, r"[a-z]{5,}", verbatim)
    if not words:
        return question
    for word in sorted(rng.sample(words, min(len(words), rng.choice((1, 1, 2)))), key=lambda m: -m.start()):
        at = rng.randrange(1, len(word[0]) - 1)
        text = word[0]
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
            case 1:
                text = text[:at] + text[at + 1 :]
            case 2:
                text = text[:at] + text[at] + text[at:]
            case _:
                text = text[:at] + rng.choice("aeiorstn") + text[at + 1 :]
        question = question[: word.start()] + text + question[word.end() :]
    return question


def lowered(program: Builder, names: Sequence[str]) -> Builder:
    """The program with its names, and the phrases that it repeats, in small letters."""
    small = {name: name.lower() for name in names}

    def text(value: str) -> str:
        for name, low in small.items():
            value = value.replace(name, low)
        return value

    def part(value: Part) -> Part:
        return text(value) if isinstance(value, str) else value

    def answer(value: Answer) -> Answer:
        return replace(value, parts=tuple(part(p) for p in value.parts))

    def block(value: Block) -> Block:
        return Block(value.steps, answer(value.end))

    def step(value: Step) -> Step:
        match value:
            case Lookup(attribute, str(entity)):
                return Lookup(attribute, text(entity))
            case LookupEach(attribute, tuple(entities)):
                return LookupEach(attribute, tuple(text(e) for e in entities))
            case Rank(tuple(listing), values, descending):
                return Rank(tuple(text(n) if isinstance(n, str) else n for n in listing), values, descending)
            case Call(tool, arguments, keywords):
                return Call(tool, tuple(text(a) if isinstance(a, str) else a for a in arguments), keywords)
            case _:
                return value

    end = program.end
    if isinstance(end, Answer):
        end = answer(end)
    elif isinstance(end, Branch):
        end = replace(end, then=block(end.then), otherwise=block(end.otherwise))
    elif isinstance(end, Cases):
        cases = (Case(case.tests, answer(case.end), case.join) for case in end.cases)
        end = Cases(tuple(cases), answer(end.otherwise))
    return Builder([step(s) for s in program.steps], end)
