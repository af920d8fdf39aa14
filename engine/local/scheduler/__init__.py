"""The step loop of the local engine: schedule, pack, run, sample."""

from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import GenerateRequest, PrefillRequest, PrefillResult, ScoreRequest
from braid.engine.local.scheduler.scheduler import Scheduler, Stats
from braid.engine.local.scheduler.worker import RequestHandle, Worker, in_own_thread

__all__ = [
    "Branch",
    "GenerateRequest",
    "PrefillRequest",
    "PrefillResult",
    "RequestHandle",
    "Scheduler",
    "ScoreRequest",
    "Stats",
    "Worker",
    "in_own_thread",
]
