"""Follow-ups: typed turns of a conversation, and questions that lean on them rewritten to stand alone."""

from braid.planner.follow_up.rewrite import bare_question, rewrite
from braid.planner.follow_up.talk import (
    FollowUp,
    StandaloneQuestion,
    Stated,
    Unresolved,
    is_small_talk,
    mended,
)
from braid.planner.follow_up.turns import LookUp, Turn, turn_of
from braid.planner.follow_up.wordings import filled, groups_of
from braid.planner.follow_up.words import COMPARATIVES, KINDS, UNITS, Comparative

__all__ = [
    "COMPARATIVES",
    "KINDS",
    "UNITS",
    "Comparative",
    "FollowUp",
    "LookUp",
    "StandaloneQuestion",
    "Stated",
    "Turn",
    "Unresolved",
    "bare_question",
    "filled",
    "groups_of",
    "is_small_talk",
    "mended",
    "rewrite",
    "turn_of",
]
