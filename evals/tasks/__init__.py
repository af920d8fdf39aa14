"""The tasks that come with Braid. Importing this package registers them; look tasks up here."""

from braid.evals.task import all_tasks, get_task
from braid.evals.tasks.countdown import countdown
from braid.evals.tasks.parallelqa import parallelqa
from braid.evals.tasks.planning import planning

__all__ = ["all_tasks", "countdown", "get_task", "parallelqa", "planning"]
