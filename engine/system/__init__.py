"""What the machine offers, what HTTP headers say, and helpers for structured concurrency."""

from braid.engine.system.concurrency import OneLoop, WrongLoopError, first_error, merge_streams, run_all
from braid.engine.system.folders import cache_folder
from braid.engine.system.hardware import gpus, memory, processors
from braid.engine.system.http import retry_after
from braid.engine.system.memory_on_disk import recall, remember

__all__ = [
    "OneLoop",
    "WrongLoopError",
    "cache_folder",
    "first_error",
    "gpus",
    "memory",
    "merge_streams",
    "processors",
    "recall",
    "remember",
    "retry_after",
    "run_all",
]
