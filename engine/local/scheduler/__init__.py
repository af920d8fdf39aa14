"""The step loop of the local engine: schedule, pack, run, sample, hand out."""

from braid.engine.local.scheduler.branch import Branch
from braid.engine.local.scheduler.request import Generate, Read, Score
from braid.engine.local.scheduler.scheduler import Scheduler, Stats
from braid.engine.local.scheduler.worker import Work, Worker, in_own_thread

__all__ = ["Branch", "Generate", "Read", "Scheduler", "Score", "Stats", "Work", "Worker", "in_own_thread"]
