"""The tasks that come with Braid. Importing this package registers them."""

from braid.evals.task import all_tasks, get_task, register
from braid.evals.tasks.bfcl import BFCL_PARALLEL, BFCL_PARALLEL_MULTIPLE
from braid.evals.tasks.countdown import COUNTDOWN
from braid.evals.tasks.parallelqa import PARALLELQA
from braid.evals.tasks.planning import PLANNING, matches
from braid.evals.tasks.planning_data import SPLITS, Question, frozen_tools, questions

__all__ = ["SPLITS", "Question", "all_tasks", "frozen_tools", "get_task", "matches", "questions"]

for _task in (BFCL_PARALLEL, BFCL_PARALLEL_MULTIPLE, COUNTDOWN, PARALLELQA, PLANNING):
    register(_task)
