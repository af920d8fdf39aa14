"""evals: questions in, verdicts out. It may use every room but training."""

from braid.evals.log import Header, Row, read_log
from braid.evals.report import EvalReport, Figure, report_on
from braid.evals.runner import run_task
from braid.evals.stats import mean_and_stderr, percentile
from braid.evals.task import (
    DataMissingError,
    EvalError,
    Options,
    Output,
    Sample,
    Score,
    Task,
    UnknownTaskError,
    register,
)
from braid.evals.tasks import all_tasks, get_task

__all__ = [
    "DataMissingError",
    "EvalError",
    "EvalReport",
    "Figure",
    "Header",
    "Options",
    "Output",
    "Row",
    "Sample",
    "Score",
    "Task",
    "UnknownTaskError",
    "all_tasks",
    "get_task",
    "mean_and_stderr",
    "percentile",
    "read_log",
    "register",
    "report_on",
    "run_task",
]
