"""The methods that come with Braid, one file each. Importing this package registers them."""

from braid.reasoning.methods.best_of_n import best_of_n
from braid.reasoning.methods.direct import direct
from braid.reasoning.methods.self_consistency import self_consistency
from braid.reasoning.methods.spawn_join import (
    ThreadCall,
    ThreadedSolution,
    ThreadFormat,
    ThreadResult,
    TokenSpan,
    spawn_join,
)

__all__ = [
    "ThreadCall",
    "ThreadFormat",
    "ThreadResult",
    "ThreadedSolution",
    "TokenSpan",
    "best_of_n",
    "direct",
    "self_consistency",
    "spawn_join",
]
