"""What the machine tells (processors, memory, GPUs), what HTTP headers tell, and helpers for structured concurrency."""

from braid.engine.system.concurrency import first_error, merge_streams, run_all
from braid.engine.system.hardware import gpus, memory, processors

__all__ = ["first_error", "gpus", "memory", "merge_streams", "processors", "run_all"]
