"""The KV cache: segments in a tree, a pool that owns their memory, and an arena for decode tails."""

from braid.engine.local.kv.pool import OutOfKV, Pool
from braid.engine.local.kv.segment import WHOLE, Geometry, LayerShape, Locks, PrefixEnd, Segment, View
from braid.engine.local.kv.tail_arena import MAX_TAIL_TOKENS, FreedSlot, TailArena

__all__ = [
    "MAX_TAIL_TOKENS",
    "WHOLE",
    "FreedSlot",
    "Geometry",
    "LayerShape",
    "Locks",
    "OutOfKV",
    "Pool",
    "PrefixEnd",
    "Segment",
    "TailArena",
    "View",
]
