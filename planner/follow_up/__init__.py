"""Follow-ups: typed turns of a conversation, and questions that lean on them rewritten to stand alone."""

from braid.planner.follow_up.rewrite import (
    FollowUp,
    StandaloneQuestion,
    Stated,
    Unresolved,
    is_small_talk,
    rewrite,
)
from braid.planner.follow_up.turns import LookUp, Turn, turn_of

__all__ = [
    "FollowUp",
    "LookUp",
    "StandaloneQuestion",
    "Stated",
    "Turn",
    "Unresolved",
    "is_small_talk",
    "rewrite",
    "turn_of",
]
