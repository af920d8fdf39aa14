"""The tasks that come with Braid. Importing this package registers them; look tasks up here."""

from evals.task import all_tasks, get_task
from evals.tasks.countdown import countdown
from evals.tasks.parallelqa import parallelqa
from evals.tasks.planning import planning

__all__ = ["all_tasks", "countdown", "get_task", "parallelqa", "planning"]
