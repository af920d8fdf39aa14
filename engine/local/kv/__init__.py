"""The KV cache: immutable segments in a tree, a pool that owns their memory, and an arena for decode tails."""

from braid.engine.local.kv.pool import OutOfKV, Pool
from braid.engine.local.kv.segment import WHOLE, Geometry, Pins, PrefixEnd, Segment, View
from braid.engine.local.kv.tail_arena import LONGEST, End, TailArena

__all__ = [
    "LONGEST",
    "WHOLE",
    "End",
    "Geometry",
    "OutOfKV",
    "Pins",
    "Pool",
    "PrefixEnd",
    "Segment",
    "TailArena",
    "View",
]
