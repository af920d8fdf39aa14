"""What the machine tells (processors, memory, GPUs), what HTTP headers tell, and helpers for structured concurrency."""

from braid.engine.system.concurrency import merged, side_by_side
from braid.engine.system.hardware import memory, processors

__all__ = ["memory", "merged", "processors", "side_by_side"]
