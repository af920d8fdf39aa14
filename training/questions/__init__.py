"""The planning set: questions with their reference plans and true answers, generated from a frozen atlas.

Questions come in families (compare, rank, sum, ask in two hops, change and compare, ...) with many wordings.
Some wordings and a fifth of the atlas' titles are held out: `generate` draws training questions, held-out
templates, held-out entities, or both at once.
"""

from braid.training.questions.beyond import FAMILIES_BEYOND, MIRRORED, REFUSED_WORDS
from braid.training.questions.families import FAMILIES
from braid.training.questions.generate import Drawn, Sample, Split, draw, generate
from braid.training.questions.held_out import forbidden_text
from braid.training.questions.invented_world import Invented
from braid.training.questions.later_rounds import later_round, listed_text
from braid.training.questions.nonce_words import NONCE_SHARE, estranged
from braid.training.questions.open_ended import draw_thought
from braid.training.questions.program import (
    Builder,
    Calculate,
    Call,
    Lookup,
    LookupEach,
    Rank,
    Toolset,
    render,
)
from braid.training.questions.template import Choice
from braid.training.questions.typing_noise import dressed
from braid.training.questions.world import Atlas, SameThings, World, load_atlas

__all__ = [
    "FAMILIES",
    "FAMILIES_BEYOND",
    "MIRRORED",
    "NONCE_SHARE",
    "REFUSED_WORDS",
    "Atlas",
    "Builder",
    "Calculate",
    "Call",
    "Choice",
    "Drawn",
    "Invented",
    "Lookup",
    "LookupEach",
    "Rank",
    "SameThings",
    "Sample",
    "Split",
    "Toolset",
    "World",
    "draw",
    "draw_thought",
    "dressed",
    "estranged",
    "forbidden_text",
    "generate",
    "later_round",
    "listed_text",
    "load_atlas",
    "render",
]
