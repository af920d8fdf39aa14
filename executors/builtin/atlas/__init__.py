"""The built-in atlas: facts about countries, mountains, rivers and more, looked up by name."""

from braid.executors.builtin.atlas.entities import Entity, Fact, Source
from braid.executors.builtin.atlas.lookup import Atlas, load_atlas
from braid.executors.builtin.atlas.queries import ask
from braid.executors.builtin.atlas.questions import answer_query

__all__ = ["Atlas", "Entity", "Fact", "Source", "answer_query", "ask", "load_atlas"]
