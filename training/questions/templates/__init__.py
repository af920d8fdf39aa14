"""Wordings of questions."""

from braid.training.questions.templates.attributes import (
    AREA,
    CHAINS,
    ELEVATION,
    LENGTH,
    NAMED,
    NUMERIC,
    POPULATION,
    SPEED,
    Attribute,
)
from braid.training.questions.templates.changes import (
    DOWN_MOVE,
    UP_MOVE,
    Change,
    changed_noun,
    clause,
    described,
    elliptic,
    gerund,
    imperative,
    participle,
)

__all__ = [
    "AREA",
    "CHAINS",
    "DOWN_MOVE",
    "ELEVATION",
    "LENGTH",
    "NAMED",
    "NUMERIC",
    "POPULATION",
    "SPEED",
    "UP_MOVE",
    "Attribute",
    "Change",
    "changed_noun",
    "clause",
    "described",
    "elliptic",
    "gerund",
    "imperative",
    "participle",
]
