"""What the machine offers, what HTTP headers say, and helpers for structured concurrency."""

from braid.engine.system.concurrency import OneLoop, WrongLoopError, first_error, merge_streams, run_all
from braid.engine.system.hardware import gpus, memory, processors
from braid.engine.system.http import retry_after

__all__ = [
    "OneLoop",
    "WrongLoopError",
    "first_error",
    "gpus",
    "memory",
    "merge_streams",
    "processors",
    "retry_after",
    "run_all",
]
