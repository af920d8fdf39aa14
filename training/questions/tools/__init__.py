"""Toolsets that generated questions are asked over."""

from braid.training.questions.tools.common_tools import draw_service
from braid.training.questions.tools.list_tools import (
    Listing,
    ListQuestion,
    attribute_for,
    draw_list_question,
    draw_listing,
)
from braid.training.questions.tools.toolsets import Toolbox, builtin_toolbox, draw_toolbox
from braid.training.questions.tools.unfamiliar_tools import draw_errands

__all__ = [
    "ListQuestion",
    "Listing",
    "Toolbox",
    "attribute_for",
    "builtin_toolbox",
    "draw_errands",
    "draw_list_question",
    "draw_listing",
    "draw_service",
    "draw_toolbox",
]
