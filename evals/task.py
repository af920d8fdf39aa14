"""What an evaluation is: a task has samples, a solver and a scorer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from braid.engine import BraidError, Engine, Usage


class EvalError(BraidError):
    """An evaluation cannot be run as asked."""


class UnknownTaskError(EvalError, ValueError):
    """No task of that name is registered."""

    wrong_usage = True


class DataMissingError(EvalError):
    """A data set that the task needs is not where it was looked for."""


class Sample(BaseModel):
    """One question."""

    model_config = ConfigDict(frozen=True)
    id: str
    question: str
    target: str
    """The true answer as the scorer wants it."""
    metadata: dict[str, Any] = {}
    """The task's own data."""


class Output(BaseModel):
    """The result of solving one sample, before it is scored."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")
    answer: str
    seconds: float
    """Wall time."""
    usage: Usage = Usage()
    detail: dict[str, Any] = {}
    """The solver's own figures."""


class Score(BaseModel):
    """The verdict on one output."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")
    correct: float = Field(allow_inf_nan=False)
    """1 for right, 0 for wrong. A verdict that is no number is an error of the scorer."""
    explanation: str = ""
    metrics: dict[str, float] = {}
    """Further numbers. Means over samples leave out those that are infinite or nan."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of an evaluation that tasks read."""

    seed: int = 0
    """Draws the samples and seeds the sampling."""
    limit: int | None = None
    """Number of samples. None for all."""
    sequential: bool = False
    """Run every plan one node at a time."""
    data_dir: Path | None = None
    """Folder with data sets that Braid does not contain."""
    arguments: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    """The task's own arguments, such as `-T split=heldout`."""


class Loader(Protocol):
    """Gives the samples, in an order that depends on the options alone."""

    def __call__(self, options: Options) -> Sequence[Sample]: ...


class Solver(Protocol):
    """Solves one sample. An exception is an error of the run and no wrong answer. It is not scored."""

    async def __call__(self, engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output: ...


Scorer = Callable[[Sample, Output], Awaitable[Score]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A named evaluation."""

    name: str
    summary: str
    """One line for lists of tasks."""
    load: Loader
    """The dataset."""
    solve: Solver
    """Prompt and method."""
    score: Scorer
    """Judges the solver's output."""
    arguments: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    """The arguments that the task takes, each with an explanation."""

    def samples(self, options: Options) -> Sequence[Sample]:
        """The samples to run, cut to `options.limit`.

        Raises:
            EvalError: The task does not know an argument, or has no sample.
            DataMissingError: The data set is not there.
        """
        unknown = sorted(set(options.arguments) - set(self.arguments))
        if unknown:
            known = ", ".join(sorted(self.arguments)) or "none"
            raise EvalError(f"task {self.name!r} takes no argument {unknown[0]!r}; it takes: {known}")
        found = self.load(options)
        if not found:
            raise EvalError(f"task {self.name!r} has no samples with these options")
        return found if options.limit is None else found[: options.limit]


_TASKS: dict[str, Task] = {}


def register(task: Task) -> Task:
    """Make `task` known by its name.

    Raises:
        ValueError: Another task has that name.
    """
    if task.name in _TASKS:
        raise ValueError(f"task {task.name!r} is registered twice")
    _TASKS[task.name] = task
    return task


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownTaskError: No task has that name. The message lists the known ones.
    """
    if name not in _TASKS:
        raise UnknownTaskError(f"unknown task {name!r}; known: {', '.join(sorted(_TASKS))}")
    return _TASKS[name]


def all_tasks() -> list[Task]:
    """All tasks, by name."""
    return [_TASKS[name] for name in sorted(_TASKS)]
