"""What happens to a question before it is planned: the conversation around it, and answers without a plan."""

from braid.orchestrator.question.conversation import give_earlier_values, in_context, turn_left
from braid.orchestrator.question.shortcuts import (
    Shortcut,
    answered_by_code,
    decide,
    draft_for,
    installation,
    load_tables,
    shortcut,
)

__all__ = [
    "Shortcut",
    "answered_by_code",
    "decide",
    "draft_for",
    "give_earlier_values",
    "in_context",
    "installation",
    "load_tables",
    "shortcut",
    "turn_left",
]
