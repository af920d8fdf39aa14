"""The built-in atlas: facts about countries, mountains, rivers and more, looked up by name."""

from braid.executors.builtin.atlas.entities import Entity, Fact, Source
from braid.executors.builtin.atlas.lookup import Atlas, load_atlas
from braid.executors.builtin.atlas.queries import ask
from braid.executors.builtin.atlas.questions import answer_query
from braid.executors.builtin.atlas.vocabulary import COMMON, FILLER, GENERIC, KIND_WORDS, PHRASES, fold

__all__ = [
    "COMMON",
    "FILLER",
    "GENERIC",
    "KIND_WORDS",
    "PHRASES",
    "Atlas",
    "Entity",
    "Fact",
    "Source",
    "answer_query",
    "ask",
    "fold",
    "load_atlas",
]
