"""The built-in atlas: facts about countries, mountains, rivers and more, looked up by name."""

from braid.executors.builtin.atlas.lookup import Atlas, Entity, Fact, load_atlas

__all__ = ["Atlas", "Entity", "Fact", "load_atlas"]
