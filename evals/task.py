"""What an evaluation is: a task brings samples, says how they are solved, and scores what came out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from braid.engine import BraidError, Engine, Usage


class EvalError(BraidError):
    """An evaluation cannot be run as asked."""


class UnknownTaskError(EvalError, ValueError):
    """No task of that name is registered."""


class DataMissingError(EvalError):
    """A data set that the task needs is not where it was looked for."""


class Sample(BaseModel):
    """One question. `target` is the true answer as the scorer wants it; `metadata` is the task's own."""

    model_config = ConfigDict(frozen=True)
    id: str
    question: str
    target: str
    metadata: dict[str, Any] = {}


class Output(BaseModel):
    """What came out of solving one sample, before it is scored. `seconds` is wall time."""

    model_config = ConfigDict(frozen=True)
    answer: str
    seconds: float
    usage: Usage = Usage()
    detail: dict[str, Any] = {}


class Score(BaseModel):
    """`correct` is 1 for right and 0 for wrong; `metrics` are further numbers that are averaged over samples."""

    model_config = ConfigDict(frozen=True)
    correct: float
    explanation: str = ""
    metrics: dict[str, float] = {}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run was asked for. `arguments` are the task's own (`-T split=heldout`)."""

    seed: int = 0
    limit: int | None = None
    sequential: bool = False
    data_dir: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())


class Loader(Protocol):
    """The samples, in an order that depends on nothing but the options."""

    def __call__(self, options: Options) -> Sequence[Sample]: ...


class Solver(Protocol):
    """Solves one sample. An exception is an error of the run, not a wrong answer, and is not scored."""

    async def __call__(self, engine: Engine, sample: Sample, options: Options, *, seed: int) -> Output: ...


Scorer = Callable[[Sample, Output], Awaitable[Score]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A named evaluation: dataset, prompt and method (the solver), scorer. `arguments` explains each one it takes."""

    name: str
    summary: str
    load: Loader
    solve: Solver
    score: Scorer
    arguments: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def samples(self, options: Options) -> Sequence[Sample]:
        """The samples to run, cut to `options.limit`.

        Raises:
            EvalError: an argument the task does not know, or no sample at all.
            DataMissingError: the data set is not there.
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
    """Make `task` known by its name."""
    if task.name in _TASKS:
        raise ValueError(f"task {task.name!r} is registered twice")
    _TASKS[task.name] = task
    return task


def get_task(name: str) -> Task:
    """The task of that name; raises `UnknownTaskError` listing the known ones."""
    if name not in _TASKS:
        raise UnknownTaskError(f"unknown task {name!r}; known: {', '.join(sorted(_TASKS))}")
    return _TASKS[name]


def all_tasks() -> list[Task]:
    return [_TASKS[name] for name in sorted(_TASKS)]
